// @ts-check
/** In the frame: the widget, once the page around it has introduced itself. */

import { LiveLayerAvatar } from "../avatar-element.js";
import { setPage } from "../client/heartbeat.js";
import "../session-element.js";
import sheet from "./frame.css" with { type: "css" };
import { FORWARDED, PROPERTIES, message, read, texts } from "./protocol.js";

/** @import { SessionClient } from "../client/client.js" */
/** @import { Message, Outcome } from "../client/types.js" */
/** @import { EmbedMessage } from "./protocol.js" */
/** @import { LivelayerSession } from "../session-element.js" */

const WAIT = 10_000; // milliseconds that a command may take, as at the server
const MARGIN = 10; // px around the widget; see view/avatar.css
/** Attributes that do not mean the same in a frame, whose window is as large as the widget. */
const NOT_HERE = ["session", "pathname", "position", "contained", "resizable", "mobile-breakpoint"];
const REASONS = ["capability", "invalid", "failed"];

/**
 * The widget, and its side of the port.
 *
 * Guarantee: nothing is shown, joined or sent before a page of an allowed origin that holds this
 * frame has given it a port; afterwards that port alone is listened to.
 */
class Frame {
  #port;
  #origin;
  #avatar = /** @type {LiveLayerAvatar} */ (document.createElement("livelayer-avatar"));
  #probe = document.createElement("div");
  #pathname = "/";
  #sent = "";
  #count = 0;
  /** @type {Map<number, (outcome: Outcome) => void>} */
  #waiting = new Map();
  /** @type {((token: string | null) => void)[]} */
  #tokens = [];
  /** @type {SessionClient | null} */
  #client = null;

  /** @param {MessagePort} port @param {string} origin @param {EmbedMessage} hello */
  constructor(port, origin, hello) {
    this.#port = port;
    this.#origin = origin;
    port.onmessage = ({ data }) => this.#take(read(data));
    this.#post("ready", {});
    this.#show(hello);
  }

  /** @param {string} type @param {Record<string, unknown>} members */
  #post(type, members) {
    this.#port.postMessage(message(type, members));
  }

  /** @param {EmbedMessage} hello */
  #show({ attributes, properties, dark, pathname, token, tokens }) {
    const avatar = this.#avatar;
    const given = texts(attributes);
    for (const [name, value] of Object.entries(texts(properties))) {
      if (PROPERTIES.includes(name)) document.documentElement.style.setProperty(name, value);
    }
    for (const name of LiveLayerAvatar.observedAttributes) {
      if (Object.hasOwn(given, name) && !NOT_HERE.includes(name)) avatar.setAttribute(name, given[name]);
    }
    for (const name of ["resizable", "mobile-breakpoint"]) avatar.setAttribute(name, "false");
    document.documentElement.lang = given.lang ?? "en";
    if (!avatar.hasAttribute("theme")) avatar.setAttribute("theme", dark === true ? "dark" : "light");
    if (avatar.getAttribute("mode") === "embedded") document.documentElement.style.setProperty("--ll-height", "100%");
    this.#page(pathname);
    const alone = avatar.hasAttribute("agent-id");
    const session = /** @type {LivelayerSession} */ (document.createElement("livelayer-session"));
    const owner = alone ? avatar : session;
    if (typeof token === "string") owner.setAttribute("token", token);
    if (tokens === true) owner.tokenProvider = () => this.#token();
    if (Object.hasOwn(given, "auto-connect")) owner.setAttribute("auto-connect", given["auto-connect"]);
    document.addEventListener("livelayer-session-ready", (event) => this.#follow(/** @type {CustomEvent} */ (event)));
    this.#probe.id = "open";
    if (alone) document.body.append(avatar, this.#probe);
    else {
      session.append(avatar);
      document.body.append(session, this.#probe);
    }
    this.#watch();
  }

  #watch() {
    const root = this.#avatar.shadowRoot?.querySelector("[part=root]");
    const measure = () => this.#measure(root);
    this.#avatar.addEventListener("display-change", measure);
    new MutationObserver(measure).observe(this.#avatar, { attributeFilter: ["data-away"] });
    if (root) new ResizeObserver(measure).observe(root);
    measure();
  }

  /** Reports the widget's size, if it has changed. @param {Element | null | undefined} root */
  #measure(root) {
    const display = this.#avatar.hasAttribute("data-away") ? "none" : this.#avatar.display;
    const box = (display === "expanded" ? this.#probe : root)?.getBoundingClientRect();
    const [width, height] = [box?.width ?? 0, box?.height ?? 0].map((one) => Math.ceil(one) + 2 * MARGIN);
    const now = JSON.stringify({ display, width, height });
    if (now === this.#sent) return;
    this.#sent = now;
    this.#post("display", { display, width, height });
  }

  /** @param {CustomEvent<{client: SessionClient}>} event */
  #follow({ target, detail: { client } }) {
    const session = /** @type {LivelayerSession} */ (target);
    this.#client = client;
    session.contextProvider = () => this.#context();
    session.routes = [];
    const own = client.carryOut;
    client.carryOut = async (command) => {
      return FORWARDED.includes(command.type) ? this.#forward(command, client) : (own?.(command) ?? { ok: false, reason: "capability" });
    };
  }

  /** What an agent may know of the page around: where it is. */
  #context() {
    const url = this.#origin + this.#pathname;
    return { url, title: "", pathname: this.#pathname, regions: [], visibleText: "", visibleLinks: [], visibleFields: [], forms: [] };
  }

  /**
   * @param {Message} command
   * @param {SessionClient} client
   * @returns {Promise<Outcome>}
   */
  async #forward(command, client) {
    const number = (this.#count += 1);
    /** @type {Promise<Outcome>} */
    const outcome = new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      setTimeout(() => resolve({ ok: false, reason: "failed" }), WAIT);
    });
    this.#post("command", { number, message: command, capabilities: client.joined?.capabilities ?? [] });
    try {
      return await outcome;
    } finally {
      this.#waiting.delete(number);
    }
  }

  /** @param {EmbedMessage | null} said */
  #take(said) {
    if (said === null) return;
    if (said.type === "page") this.#page(said.pathname);
    else if (said.type === "used") this.#client?.markUsed();
    else if (said.type === "token") this.#tokens.shift()?.(typeof said.token === "string" ? said.token : null);
    else if (said.type === "outcome") this.#settle(said);
  }

  /** @param {EmbedMessage} said */
  #settle({ number, ok, reason, leaves }) {
    const known = REASONS.includes(/** @type {string} */ (reason)) ? /** @type {Outcome["reason"]} */ (reason) : "failed";
    const leave = leaves === true ? { leave: () => this.#post("leave", { number }) } : {};
    const outcome = ok === true ? { ok, ...leave } : { ok: false, reason: known };
    this.#waiting.get(/** @type {number} */ (number))?.(outcome);
  }

  /** @param {unknown} pathname */
  #page(pathname) {
    if (typeof pathname !== "string" || !pathname.startsWith("/")) return;
    this.#pathname = pathname;
    this.#avatar.setAttribute("pathname", pathname);
    setPage(this.#origin + pathname);
  }

  /** @returns {Promise<string>} */
  async #token() {
    /** @type {string | null} */
    const token = await new Promise((resolve) => {
      this.#tokens.push(resolve);
      this.#post("token", {});
    });
    if (token === null) throw new Error("the page around the frame gave no viewer token");
    return token;
  }
}

const origins = [location.origin, ...(document.documentElement.dataset.origins ?? "").split(" ").filter(Boolean)];

/** @param {MessageEvent} event */
function greeted({ source, origin, data, ports }) {
  // Any window may write to this one: only the page that holds the frame is heard, and once.
  if (source !== parent || !origins.includes(origin)) return;
  const hello = read(data);
  if (hello?.type !== "hello" || ports.length !== 1) return;
  removeEventListener("message", greeted);
  new Frame(ports[0], origin, hello);
}

document.adoptedStyleSheets = [sheet];
if (parent !== window) addEventListener("message", greeted);
