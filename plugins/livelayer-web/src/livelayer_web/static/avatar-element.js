// @ts-check
/** `<livelayer-avatar>`: a surface of a session on a page; any number of them share one session. */

import { isShown, parsePatterns, watchPath } from "./page/routes.js";
import { OPTIONS, camel, defineOptions, isSet, readOptions } from "./view/attributes.js";
import { takesText, upgrade } from "./view/dom.js";
import "./view/languages/ar.js";
import "./view/languages/de.js";
import { DISPLAYS } from "./view/preferences.js";
import {
  bringSession, findSession, forgetSession, keepSession, wasBrought, watchSessions,
} from "./view/session-lookup.js";
import { listeners, setStrings, translator } from "./view/strings.js";
import { stylesheet } from "./view/stylesheet.js";
import { Surface } from "./view/surface.js";
import { parseTeam } from "./view/team.js";

export { setStrings };

const PROPERTIES = [
  "client", "tokenProvider", "contextExtras", "display", "showOn", "hideOn", "teamMembers", "captions", "transcript",
  ...Object.keys(OPTIONS).map(camel),
];

/** @import { TokenProvider } from "./client/link.js" */
/** @import { Message } from "./client/types.js" */
/** @import { Patterns } from "./page/routes.js" */
/** @import { Display } from "./view/preferences.js" */
/** @import { Client } from "./view/types.js" */

/**
 * Attributes: `mode` ("widget", the default, or "embedded"), `persist-key` (empty: not remembered),
 * `display` (of a widget that remembers none), `show-on`, `hide-on`, `pathname`, `team-members`,
 * `session` (an element's id), `auto-connect`, `theme` ("light" or "dark"), `lang`, `debug`; alone:
 * `agent-id`, `base`, `capabilities`, `token`, and the properties `tokenProvider` and `contextExtras`.
 * And those of `OPTIONS`, each with a property.
 *
 * Dispatches `display-change` with `{display}`; a session's own events come from its element.
 */
export class LiveLayerAvatar extends HTMLElement {
  static observedAttributes = [
    "mode", "persist-key", "display", "show-on", "hide-on", "pathname", "team-members", "session",
    "agent-id", "auto-connect", "theme", "lang", "dir", "debug", "token", ...Object.keys(OPTIONS),
  ];

  #surface;
  /** A client that the page's own script set. @type {Client | null} */
  #given = null;
  /** The session element that this surface created. @type {import("./view/session-lookup.js").SessionElement | null} */
  #own = null;
  /** @type {TokenProvider | null} */
  #tokenProvider = null;
  /** @type {import("./page/extras.js").Extras} */
  #contextExtras = null;
  /** Ends everything that connecting began. @type {AbortController | null} */
  #life = null;
  /** @type {Patterns} */
  #showOn = null;
  /** @type {Patterns} */
  #hideOn = null;
  /** @type {ReturnType<typeof parseTeam>} */
  #team = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [stylesheet];
    this.#surface = new Surface({
      element: this,
      settings: () => this.#settings(),
      open: () => this.#open(),
      forget: () => forgetSession(this),
    });
    root.append(this.#surface.panel.element);
  }

  // Public properties and methods --------------------------------------------------------------

  /**
   * Whether one of its fields has the focus. To the page, keys typed there come from this element,
   * and shortcut handlers in the capturing phase ignore keys of editable elements.
   */
  get isContentEditable() {
    return takesText(this.shadowRoot?.activeElement);
  }

  /** The client that is shown; null looks for the page's session again. */
  get client() {
    return this.#surface.client;
  }

  set client(client) {
    this.#given = client;
    this.#look();
  }

  /** Provides the viewer tokens of a session of its own. @returns {TokenProvider | null} */
  get tokenProvider() {
    return this.#tokenProvider;
  }

  set tokenProvider(provider) {
    this.#tokenProvider = provider;
    if (this.#own !== null) this.#own.tokenProvider = provider;
  }

  /** What the page context of a session of its own has in addition. */
  get contextExtras() {
    return this.#contextExtras;
  }

  set contextExtras(extras) {
    this.#contextExtras = extras;
    if (this.#own !== null) this.#own.contextExtras = extras;
  }

  /** @returns {Display} an embedded surface is always expanded */
  get display() {
    return this.#widget ? this.#surface.choices.display : "expanded";
  }

  set display(display) {
    if (this.#widget && DISPLAYS.includes(display)) this.#surface.choose({ display });
  }

  /** The paths on which it is shown: patterns, expressions or predicates; everywhere if empty. */
  get showOn() {
    return this.#showOn;
  }

  set showOn(patterns) {
    this.#showOn = patterns;
    this.#surface.schedule();
  }

  /** The paths on which it is not shown, whatever `showOn` says. */
  get hideOn() {
    return this.#hideOn;
  }

  set hideOn(patterns) {
    this.#hideOn = patterns;
    this.#surface.schedule();
  }

  /** Whether the latest lines lie over the picture. */
  get captions() {
    return this.#surface.choices.captions;
  }

  set captions(captions) {
    this.#surface.choose({ captions: Boolean(captions) });
  }

  /** Whether the whole conversation is shown. */
  get transcript() {
    return this.#surface.choices.transcript;
  }

  set transcript(transcript) {
    this.#surface.choose({ transcript: Boolean(transcript) });
  }

  /**
   * The agents to talk to: `[{id, name, role?, avatarImageUrl?, agentId?}]`, or its JSON; null: those
   * that the server offers.
   *
   * @returns {unknown}
   */
  get teamMembers() {
    return this.#team;
  }

  set teamMembers(members) {
    this.#team = parseTeam(members);
    this.#surface.schedule();
  }

  /** Starts the conversation; opens a session of its own first if it has none. Errors are shown. */
  async connect() {
    await this.#surface.act("connect");
  }

  /** Ends the conversation, for every surface of the session. */
  async disconnect() {
    forgetSession(this);
    await this.#surface.client?.disconnect();
  }

  /** @param {string} text */
  async sendMessage(text) {
    await this.#required().sendMessage(text);
  }

  /** @param {Message} message */
  async sendData(message) {
    await this.#required().sendData(message);
  }

  /** Stops what the agent says. */
  async interrupt() {
    await this.#required().interrupt();
  }

  // Life cycle ---------------------------------------------------------------------------------

  connectedCallback() {
    upgrade(this, PROPERTIES);
    this.#life = new AbortController();
    const { signal } = this.#life;
    const renew = () => this.#surface.schedule();
    const ends = [watchSessions(() => this.#look()), watchPath(renew)];
    addEventListener("resize", renew, { signal });
    const language = new MutationObserver(renew);
    language.observe(document.documentElement, { attributeFilter: ["lang", "dir"] });
    listeners.add(renew);
    matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", renew, { signal });
    signal.addEventListener("abort", () => {
      for (const end of ends) end();
      language.disconnect();
      listeners.delete(renew);
    });
    this.#remember();
    this.#look();
    this.#surface.start();
  }

  disconnectedCallback() {
    this.#life?.abort();
    this.#life = null;
    this.#surface.stop();
  }

  /** @param {string} name @param {string | null} _old @param {string | null} value */
  attributeChangedCallback(name, _old, value) {
    if (name === "show-on") this.#showOn = value === null ? null : parsePatterns(value);
    if (name === "hide-on") this.#hideOn = value === null ? null : parsePatterns(value);
    if (name === "team-members") this.#team = parseTeam(value);
    if (name === "debug") this.#surface.panel.debug.toggle(isSet(value));
    if (name === "token" && this.#own !== null) {
      if (value === null) this.#own.removeAttribute(name);
      else this.#own.setAttribute(name, value);
    }
    if (this.#life === null) return;
    if (name === "session" || name === "agent-id") this.#look();
    if (name === "persist-key" || name === "mode") this.#remember();
    if (name === "display" && value !== null) this.display = /** @type {Display} */ (value);
    this.#surface.schedule();
  }

  get #widget() {
    return this.getAttribute("mode") !== "embedded";
  }

  #required() {
    const client = this.#surface.client;
    if (client === null) throw new Error("this <livelayer-avatar> has no session yet");
    return client;
  }

  #remember() {
    const named = /** @type {Display} */ (this.getAttribute("display"));
    const key = this.#widget ? (this.getAttribute("persist-key") ?? "ll-widget") : "";
    this.#surface.remember(key, DISPLAYS.includes(named) ? named : "minimized");
  }

  /** @returns {import("./view/surface.js").Settings} */
  #settings() {
    const path = this.getAttribute("pathname") ?? location.pathname;
    const language = this.closest("[lang]")?.getAttribute("lang") ?? "";
    return {
      widget: this.#widget,
      shown: isShown(path, { showOn: this.#showOn, hideOn: this.#hideOn }),
      theme: this.getAttribute("theme") ?? "",
      t: translator(language),
      team: this.#team,
      autoConnect: isSet(this.getAttribute("auto-connect")),
      alone: this.#brings,
      options: readOptions(this),
    };
  }

  // Session ------------------------------------------------------------------------------------

  /** Whether it opens a session of its own: it names an agent, and the page has no session. */
  get #brings() {
    const named = this.hasAttribute("agent-id") && !this.hasAttribute("session");
    return named && this.#given === null && findSession(this) === null;
  }

  #look() {
    if (this.#life === null) return;
    if (this.#own === null && this.#brings && wasBrought(this)) this.#bring();
    const element = this.#own ?? findSession(this);
    this.#surface.follow(this.#given ?? element?.client ?? null);
  }

  /** The client to connect with; creates a session of its own if it has none. */
  #open() {
    if (this.#surface.client === null && this.#life !== null && this.#brings) {
      this.#bring();
      this.#look();
    } else if (this.#own !== null) keepSession(this); // it may have been ended before
    return this.#surface.client;
  }

  #bring() {
    const element = bringSession(this);
    element.tokenProvider = this.#tokenProvider;
    element.contextExtras = this.#contextExtras;
    this.#own = element; // before it says that it is ready
    document.body.append(element);
    this.#life?.signal.addEventListener("abort", () => {
      element.remove();
      this.#own = null;
    });
  }
}

if (!customElements.get("livelayer-avatar")) {
  defineOptions(LiveLayerAvatar);
  customElements.define("livelayer-avatar", LiveLayerAvatar);
}
