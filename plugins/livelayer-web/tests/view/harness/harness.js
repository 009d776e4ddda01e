// @ts-check
/** What the tests call in the page: `window.harness`. */

import { FakeSession } from "./fake.js";
import { portrait, streamOf } from "./portrait.js";

/** @type {string[]} */
const violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});

customElements.define("livelayer-session", FakeSession);

const harness = {
  violations,
  avatar: await import("/static/avatar-element.js"),
  /** @returns {any} */
  get client() {
    return /** @type {any} */ (document.querySelector("livelayer-session")).client;
  },
  /** @returns {any} */
  get surface() {
    return document.querySelector("livelayer-avatar");
  },
  /** A client's fields; "@picture" is a live picture, "@camera" and "@screen" this page's own. */
  play(/** @type {any} */ fields, client = this.client) {
    client.set(resolve(fields));
  },
  async painted() {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  },
};

/** @type {Map<string, MediaStream>} */
const streams = new Map();

/** @param {any} value @returns {any} */
function resolve(value) {
  if (typeof value === "string" && value.startsWith("@")) {
    const known = streams.get(value) ?? streamOf(drawing(value));
    streams.set(value, known);
    return known;
  }
  if (Array.isArray(value)) return value.map(resolve);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one)]));
}

/** @param {string} name */
function drawing(name) {
  if (name !== "@screen") return portrait(name === "@camera" ? { width: 320, height: 240 } : {});
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 200 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#eef1f7";
  context.fillRect(0, 0, 320, 200);
  context.fillStyle = "#3a4bdc";
  for (let index = 0; index < 5; index += 1) {
    context.fillRect(40 + index * 50, 160 - index * 26, 32, 20 + index * 26);
  }
  return canvas;
}

Object.assign(window, { harness });
