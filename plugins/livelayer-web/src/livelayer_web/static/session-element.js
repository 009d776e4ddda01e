// @ts-check
/** `<livelayer-session>`: the provider of a page's one session; whatever is inside shows it. */

import { SessionClient } from "./client/client.js";
import { bindPage } from "./page/bind.js";
import { watchPage } from "./page/watch.js";
import { isSet } from "./view/attributes.js";
import { upgrade } from "./view/dom.js";

/** @import { TokenProvider } from "./client/link.js" */
/** @import { Message } from "./client/types.js" */
/** @import { RegisteredField } from "./page/agent-context.js" */
/** @import { ContextProvider, RouteSource } from "./page/commands.js" */
/** @import { PageParts } from "./page/bind.js" */
/** @import { Extras } from "./page/extras.js" */
/** @import { Screenshots } from "./page/screenshots.js" */
/** @typedef {PageParts & {client: SessionClient}} Parts */

const sheet = new CSSStyleSheet();
sheet.replaceSync(":host { display: contents }");
const PROPERTIES = ["tokenProvider", "contextProvider", "contextExtras", "routes", "screenshots"];
const GOES_ON = 300; // seconds without a server after which a conversation does not continue by itself

/**
 * Attributes: `base` (where the surface is mounted), `agent-id` (a session of one's
 * own with this agent), `token` (a viewer token), `auto-connect` (connects when a surface is shown
 * for the first time), `capabilities` (what of the server's allow-list holds on this page),
 * `navigate-origins` (other sites an agent may send it to), `share-fields` (what of the page's fields
 * goes into `agent.context`: `values`, `labels` or `none`).
 *
 * Properties: `client`, `tokenProvider`, `contextProvider`, `contextExtras`, `routes`, `screenshots`.
 *
 * Events, all bubbling: `navigate` and `agent-command` (cancelable; `detail.done(promise)`),
 * `agent-event`, `data-message`, `connection-change`, `agent-state`, `transcript`, `field`,
 * `collected`; and `livelayer-session-ready` once there is a client.
 *
 * Guarantee: one connection while it is in the document, also when it is moved there.
 */
export class LivelayerSession extends HTMLElement {
  static observedAttributes = ["token", "auto-connect", "capabilities", "share-fields"];
  /** Provides viewer tokens, if there is none or it was refused. @type {TokenProvider | null} */
  #tokenProvider = null;
  /** The page context, instead of ours. @type {ContextProvider | null} */
  contextProvider = null;
  /** What our page context has in addition. @type {Extras} */
  contextExtras = null;
  /** The routes, instead of the page's links. @type {RouteSource | null} */
  routes = null;
  /** @type {Parts | null} */
  #parts = null;
  /** @type {(() => void) | null} */
  #unwatch = null;
  /** The session that was connected automatically. @type {string | null} */
  #connected = null;
  /** Whether the link was live when it was last looked at. */
  #live = false;
  /** When the server ended in the middle of a conversation. @type {number | null} */
  #interrupted = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [sheet];
    root.append(document.createElement("slot"));
  }

  /** The session's client; it is made when it is first needed. @returns {SessionClient} */
  get client() {
    return this.#made.client;
  }

  /** @returns {Parts} */
  get #made() {
    this.#parts ??= this.#make();
    return this.#parts;
  }

  /** @returns {TokenProvider | null} */
  get tokenProvider() {
    return this.#tokenProvider;
  }

  set tokenProvider(provider) {
    this.#tokenProvider = provider;
    if (this.#parts !== null) this.#parts.client.tokenProvider = provider;
  }

  /** How the application takes and stores pictures of the page; null: none are taken. @returns {Screenshots | null} */
  get screenshots() {
    return this.#made.screenshots.options;
  }

  set screenshots(options) {
    this.#made.screenshots.options = options;
  }

  /**
   * Describes fields to the agent; they win over those found on the page.
   *
   * @param {readonly RegisteredField[]} fields
   * @returns {() => void} removes them
   */
  registerFields(fields) {
    return this.#made.fields.register(fields);
  }

  /** What of the server's allow-list holds on this page; null: all of it. */
  get capabilities() {
    return this.getAttribute("capabilities");
  }

  /** Other origins that an agent may send this page to. */
  get navigateOrigins() {
    return this.getAttribute("navigate-origins") ?? "";
  }

  /** What of the page's fields goes into `agent.context`. */
  get shareFields() {
    return this.getAttribute("share-fields");
  }

  connectedCallback() {
    upgrade(this, PROPERTIES);
    const { client } = this;
    client.open();
    this.#unwatch ??= watchPage(() => this.#parts?.look());
    const options = { bubbles: true, composed: true, detail: { client } };
    this.dispatchEvent(new CustomEvent("livelayer-session-ready", options));
  }

  disconnectedCallback() {
    // A moved element is back before the next task.
    setTimeout(() => {
      if (this.isConnected) return;
      this.#unwatch?.();
      this.#unwatch = null;
      this.#parts?.client.close();
    });
  }

  /** @param {string} name @param {string | null} _before @param {string | null} value */
  attributeChangedCallback(name, _before, value) {
    if (this.#parts === null) return;
    if (name === "token") this.#parts.client.token = value;
    else if (name === "auto-connect") this.#connectOnce(this.#parts.client);
    else this.#parts.look();
  }

  /** Connects the session. */
  connect() {
    return this.client.connect();
  }

  /** Ends the session's conversation, for everybody. */
  disconnect() {
    return this.client.disconnect();
  }

  /** @param {Message} message */
  sendData(message) {
    return this.client.sendData(message);
  }

  /** @param {string} text */
  sendMessage(text) {
    return this.client.sendMessage(text);
  }

  /** Stops what the agent says. */
  interrupt() {
    return this.client.interrupt();
  }

  #make() {
    const client = new SessionClient({
      base: this.getAttribute("base") ?? undefined,
      token: this.getAttribute("token"),
      agentId: this.getAttribute("agent-id"),
    });
    client.tokenProvider = this.#tokenProvider;
    const parts = bindPage(client, this, this);
    for (const kind of ["state", "link", "surfaces"]) {
      client.addEventListener(kind, () => {
        this.#follow(client);
        this.#connectOnce(client);
      });
    }
    return { client, ...parts };
  }

  /**
   * A server that shuts down ends this page's own session: the conversation continues automatically
   * with the next server. Not after a silence: the machine may have been asleep for a night.
   *
   * @param {SessionClient} client
   */
  #follow({ state, link }) {
    const connected = state?.connection_state === "connected";
    if (this.#live && link.phase === "recovering" && link.code === "unmounted" && connected) {
      this.#interrupted = Date.now();
    } else if (link.phase === "ended" || (link.phase === "live" && connected)) {
      this.#interrupted = null;
    }
    this.#live = link.phase === "live";
  }

  #goesOn() {
    const since = this.#interrupted;
    return since !== null && this.hasAttribute("agent-id") && Date.now() - since < GOES_ON * 1000;
  }

  /**
   * Once for each session, and only if it is new: a conversation that a person ended stays ended.
   *
   * @param {SessionClient} client
   */
  #connectOnce(client) {
    const { state, joined, link, surfaces } = client;
    const wanted = isSet(this.getAttribute("auto-connect")) || this.#goesOn();
    if (!wanted || link.phase !== "live" || surfaces.size === 0) return;
    if (state?.connection_state !== "idle" || this.#connected === state.id) return;
    if (!joined?.grants.includes("control")) return;
    this.#connected = state.id;
    // The outcome is the session's state.
    client.connect().catch(() => {});
  }
}

if (!customElements.get("livelayer-session")) customElements.define("livelayer-session", LivelayerSession);
