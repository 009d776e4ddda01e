// @ts-check
/** On the page of another site: the frame, its size, and the commands that are carried out here. */

import { PageCommands } from "../page/commands.js";
import { watchPath } from "../page/routes.js";
import { FORWARDED, PROPERTIES, message, read } from "./protocol.js";

/** @import { Outcome } from "../client/types.js" */
/** @import { EmbedMessage } from "./protocol.js" */

const OWN = ["capabilities", "navigate-origins", "token", "token-url", "allow", "label", "side"];
const ALLOW = "microphone; camera; display-capture; autoplay; speaker-selection";
const SANDBOX = "allow-scripts allow-same-origin allow-forms";
const PATIENCE = 15_000; // milliseconds until a frame that does not answer is reported
const USED = 1000; // milliseconds between two reports that a person uses this page
const LARGEST = 4000; // pixels

/**
 * Shows the widget that a script element describes.
 *
 * @param {HTMLScriptElement} script
 * @returns {Embed}
 */
export function embed(script) {
  return new Embed(script);
}

/**
 * One frame. It holds no key and no part of the conversation; the frame holds nothing of this page
 * but its path.
 *
 * Guarantee: the frame's window is only spoken to while it shows a page of the server that the
 * script came from, and only that page is listened to, over a port. It has this page carry out
 * `FORWARDED` and nothing else, within the capabilities of the server and those of the script.
 */
class Embed {
  #script;
  #base;
  #frame = document.createElement("iframe");
  #commands;
  /** What the server allows, as of the last command. @type {string[]} */
  #served = [];
  /** @type {MessagePort | null} */
  #port = null;
  #ready = false;
  /** @type {Map<number, () => void>} */
  #leaving = new Map();
  #used = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {HTMLScriptElement} script */
  constructor(script) {
    this.#script = script;
    this.#base = new URL("..", script.src);
    this.#commands = new PageCommands(this.#frame, {
      joined: () => ({ capabilities: this.#served, max_message_bytes: 0 }),
      capabilities: () => this.#given("capabilities"),
      origins: () => (this.#given("navigate-origins") ?? "").split(/[\s,]+/).filter(Boolean),
      context: () => null,
      extras: () => null,
      routes: () => null,
      pending: () => {},
    });
    this.#build();
    this.#frame.addEventListener("load", () => this.#greet());
    watchPath((pathname) => this.#post("page", { pathname }));
    const used = (/** @type {Event} */ event) => event.isTrusted && this.#report();
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used, { capture: true, passive: true });
    if (this.#embedded) script.after(this.#frame);
    else if (document.body) this.#float();
    else addEventListener("DOMContentLoaded", () => this.#float(), { once: true });
  }

  #float() {
    document.body.append(this.#frame);
    const layered = getComputedStyle(this.#frame).getPropertyValue("--ll-z-index").trim() !== "";
    if ("popover" in this.#frame && !layered) this.#frame.showPopover();
  }

  /** @param {string} name of an attribute `data-<name>` */
  #given(name) {
    return this.#script.getAttribute(`data-${name}`);
  }

  get #embedded() {
    return this.#given("mode") === "embedded";
  }

  #build() {
    const frame = this.#frame;
    frame.src = new URL("embed", this.#base).href;
    frame.title = this.#given("label") ?? "Assistant";
    frame.allow = this.#given("allow") ?? ALLOW;
    frame.setAttribute("sandbox", SANDBOX); // it cannot navigate this page by itself
    frame.setAttribute("data-livelayer", ""); // private to the agent, as the widget is
    const { style } = frame;
    style.border = "0";
    style.colorScheme = "light"; // that of the frame's page: another one makes it opaque
    if (this.#embedded) {
      style.inlineSize = "100%";
      style.blockSize = "var(--ll-height, 560px)";
      return;
    }
    style.position = "fixed";
    // As the widget does, it lies above everything of the page, whatever clips or transforms its ancestors.
    frame.setAttribute("popover", "manual");
    style.inset = "auto";
    style.margin = style.padding = "0";
    style.background = "transparent";
    style.display = "block"; // also where it is not shown as a popover
    style.insetBlockEnd = "0";
    style.setProperty(this.#given("side") === "start" ? "inset-inline-start" : "inset-inline-end", "0");
    style.zIndex = "var(--ll-z-index, 2147483000)";
    style.visibility = "hidden"; // until its size is known
    this.#resize(400, 640);
  }

  /** @param {number} width @param {number} height */
  #resize(width, height) {
    this.#frame.style.inlineSize = `min(${width}px, 100vw)`;
    this.#frame.style.blockSize = `min(${height}px, 100dvh)`;
  }

  /** Offers a port to the page that the frame has loaded, if it is the server's. */
  #greet() {
    this.#port?.close();
    this.#ready = false;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = ({ data }) => this.#port === port1 && this.#take(read(data));
    const attributes = [...this.#script.attributes].flatMap(({ name, value }) =>
      name.startsWith("data-") && !OWN.includes(name.slice(5)) ? [[name.slice(5), value]] : [],
    );
    const computed = getComputedStyle(this.#script.parentElement ?? document.documentElement);
    const properties = PROPERTIES.map((name) => [name, computed.getPropertyValue(name).trim()]).filter(([, value]) => value);
    const hello = message("hello", {
      attributes: Object.fromEntries(attributes),
      properties: Object.fromEntries(properties),
      dark: matchMedia("(prefers-color-scheme: dark)").matches,
      pathname: location.pathname,
      token: this.#given("token"),
      tokens: this.#given("token-url") !== null,
    });
    this.#frame.contentWindow?.postMessage(hello, this.#base.origin, [port2]);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      console.warn(`livelayer: ${this.#base.origin} did not answer; is ${location.origin} one of its embed_origins?`);
    }, PATIENCE);
  }

  /** @param {string} type @param {Record<string, unknown>} members */
  #post(type, members) {
    if (this.#ready) this.#port?.postMessage(message(type, members));
  }

  #report() {
    const now = performance.now();
    if (now - this.#used < USED) return;
    this.#used = now;
    this.#post("used", {});
  }

  /** @param {EmbedMessage | null} said */
  #take(said) {
    if (said === null) return;
    if (said.type === "ready") {
      clearTimeout(this.#timer);
      this.#ready = true;
      this.#post("page", { pathname: location.pathname });
    }
    if (!this.#ready) return;
    if (said.type === "display") this.#display(said);
    else if (said.type === "command") void this.#carryOut(said);
    else if (said.type === "leave") this.#leave(said);
    else if (said.type === "token") void this.#token();
  }

  /** @param {EmbedMessage} said */
  #display({ display, width, height }) {
    if (typeof display !== "string" || this.#embedded) return;
    const shown = display !== "none";
    this.#frame.style.visibility = shown ? "visible" : "hidden";
    if (shown && isLength(width) && isLength(height)) this.#resize(width, height);
    this.#frame.dataset.display = display;
    this.#frame.dispatchEvent(new CustomEvent("display-change", { detail: { display }, bubbles: true }));
  }

  /** @param {EmbedMessage} said */
  async #carryOut({ number, message: command, capabilities }) {
    if (typeof number !== "number" || typeof command !== "object" || command === null) return;
    const asked = /** @type {EmbedMessage} */ (command);
    /** @type {Outcome} */
    let outcome = { ok: false, reason: "capability" };
    if (FORWARDED.includes(asked.type)) {
      this.#served = Array.isArray(capabilities) ? capabilities : [];
      try {
        outcome = await this.#commands.carryOut(asked);
      } catch (error) {
        reportError(error);
        outcome = { ok: false, reason: "failed" };
      }
    }
    this.#leaving.clear();
    if (outcome.leave !== undefined) this.#leaving.set(number, outcome.leave);
    this.#post("outcome", { number, ok: outcome.ok, reason: outcome.reason, leaves: outcome.leave !== undefined });
  }

  /** The server has the answer: this page may go. @param {EmbedMessage} said */
  #leave({ number }) {
    const leave = this.#leaving.get(/** @type {number} */ (number));
    this.#leaving.clear();
    leave?.();
  }

  async #token() {
    /** @type {string | null} */
    let token = null;
    try {
      const url = new URL(this.#given("token-url") ?? "", document.baseURI);
      if (url.origin !== location.origin) throw new TypeError("data-token-url must be an address of this site");
      const answer = await fetch(url, { method: "POST", credentials: "same-origin", redirect: "error" });
      if (answer.ok) token = (await answer.text()).trim();
    } catch (error) {
      reportError(error);
    }
    this.#post("token", { token });
  }
}

/** @param {unknown} value @returns {value is number} */
function isLength(value) {
  return typeof value === "number" && value >= 0 && value <= LARGEST;
}
