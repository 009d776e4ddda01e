// @ts-check
/** One surface: follows a client, draws it, and carries out what a person asks for. */

import { placeOf } from "./attributes.js";
import { quietly, supported } from "./controls.js";
import { takesText } from "./dom.js";
import { Drag } from "./drag.js";
import { isShared } from "./end-question.js";
import { LevelAnimation } from "./level-animation.js";
import { Preferences } from "./preferences.js";
import { describe } from "./model.js";
import { Panel } from "./panel.js";
import { Resize } from "./resize.js";
import { SoundEffects } from "./sound-effects.js";
import { Visibility } from "./visibility.js";

/** @import { SurfaceOptions } from "./attributes.js" */
/** @import { Choices, Display, Place } from "./preferences.js" */
/** @import { Client, Member } from "./types.js" */
/** @typedef {Choices & {place: Place}} SurfaceChoices */

/**
 * @typedef {object} Settings what the page asks of a surface, read anew for each drawing
 * @property {boolean} widget
 * @property {boolean} shown its route shows it
 * @property {string} theme
 * @property {import("./strings.js").Translate} t
 * @property {readonly Member[] | null} team
 * @property {boolean} autoConnect
 * @property {boolean} alone it opens a session of its own
 * @property {SurfaceOptions} options
 */

/**
 * @typedef {object} Host
 * @property {HTMLElement} element
 * @property {() => Settings} settings
 * @property {() => Client | null} open the client to connect with, created if necessary
 * @property {() => void} forget a person ended the conversation: a reload opens nothing
 */

const CHANGES = ["state", "link", "media", "sources", "devices", "info", "pending", "speaker", "event"];
const SECOND = 1000; // ms

let made = 0;

export class Surface {
  #key = `avatar-${(made += 1)}`;
  /** @type {Client | null} */
  #client = null;
  /** @type {AbortController | null} */
  #following = null;
  /** @type {Preferences} */
  #preferences;
  #running = false;
  #asked = false;
  #begun = false;
  #scheduled = false;
  #held = -1;
  /** The approval for which a person closed the panel again. */
  #lowered = 0;
  #retained = false;
  /** Whether something was typed before there was a conversation: it begins one. */
  #said = false;
  /** @type {import("./model.js").Known | null} */
  #known = null;
  #timer = 0;

  /** @param {Host} host */
  constructor(host) {
    this.host = host;
    this.#preferences = new Preferences("", first("minimized"), () => {});
    this.panel = new Panel({
      act: (action) => this.#press(action),
      say: (words) => this.say(words),
      choose: (choices) => this.choose(choices),
      pickMember: (id) => this.#pick(id),
      toggleDebug: () => this.debug(!this.panel.debug.open),
    });
    const { element, stage, bubble, head } = this.panel;
    const rtl = () => getComputedStyle(element).direction === "rtl";
    const place = () => this.choices.place;
    const frame = () => this.#frame();
    this.level = new LevelAnimation(element);
    this.pictures = [stage.element, bubble.element].map((one) => new Visibility(one, () => this.draw()));
    this.drag = new Drag({
      element,
      place,
      settle: (place) => this.choose({ place }),
      rtl,
      frame,
      enabled: () => this.host.settings().widget && !(this.mobile && this.choices.display === "expanded"),
    });
    for (const handle of [bubble.element, stage.element, head]) this.drag.by(handle);
    this.resize = new Resize({
      element,
      place,
      frame,
      rtl,
      settle: (size) => {
        this.choose({ size });
        const { width, height } = element.getBoundingClientRect();
        const words = { width: Math.round(width), height: Math.round(height) };
        this.panel.announcer.tell(this.host.settings().t("resizedTo", words));
      },
    });
    this.panel.hold(this.resize);
    element.addEventListener("keydown", (event) => this.#pressed(event));
    // A page's single-key shortcuts would take letters from what is typed here.
    for (const kind of ["keydown", "keypress", "keyup"]) {
      element.addEventListener(kind, (event) => takesText(event.target) && event.stopPropagation());
    }
    element.addEventListener("pointerdown", () => this.#client?.markUsed());
  }

  get client() {
    return this.#client;
  }

  /** @returns {SurfaceChoices} */
  get choices() {
    const { choices } = this.#preferences;
    if (choices.place !== null) return { ...choices, place: choices.place };
    const { widget, options } = this.host.settings();
    // Only of a widget: the style costs a computation.
    const rtl = widget && getComputedStyle(this.panel.element).direction === "rtl";
    return { ...choices, place: placeOf(options.position, rtl) };
  }

  start() {
    this.#running = true;
    this.draw(); // so that it has a size
    for (const picture of this.pictures) picture.watch();
    this.draw();
  }

  stop() {
    this.#running = false;
    for (const picture of this.pictures) picture.stop();
    this.follow(null);
    this.#preferences.close();
    this.#tick(false);
    this.level.run(null, false);
    this.panel.release();
  }

  /**
   * Stores choices under a key from now on.
   *
   * @param {string} key empty: nothing is stored
   * @param {Display} display where nothing was kept
   */
  remember(key, display) {
    this.#preferences.close();
    this.#preferences = new Preferences(key, first(display), () => this.schedule());
  }

  /** @param {Client | null} client */
  follow(client) {
    if (client === this.#client) return;
    this.#lowered = 0;
    this.#following?.abort();
    if (this.#held >= 0) this.#client?.releaseVideo(this.#key);
    if (this.#client !== null) SoundEffects.of(this.#client).want(this.#key, false);
    this.#held = -1;
    this.#show(false);
    this.#client = client;
    this.#asked = false;
    this.#begun = false;
    this.#said = false;
    if (client !== null) {
      this.#following = new AbortController();
      const { signal } = this.#following;
      for (const name of CHANGES) client.addEventListener(name, () => this.schedule(), { signal });
    }
    this.schedule();
  }

  /** @param {Partial<Choices>} choices */
  choose(choices) {
    const before = this.#display;
    if (choices.display) this.#lowered = this.#client?.approvals?.[0]?.number ?? 0;
    const focused = this.panel.element.matches(":focus-within");
    this.#client?.markUsed();
    this.#preferences.choose(choices);
    this.draw();
    const display = this.#display;
    if (display === before) return;
    if (focused) this.panel.focus(display);
    const options = { detail: { display }, bubbles: true, composed: true };
    this.host.element.dispatchEvent(new CustomEvent("display-change", options));
  }

  /** @param {boolean} open */
  debug(open) {
    const focused = this.panel.debug.element.matches(":focus-within");
    this.panel.debug.toggle(open);
    this.draw();
    if (open) this.panel.debug.close.element.focus({ preventScroll: true });
    else if (focused) this.panel.options.menu.opener.focus();
  }

  /**
   * Sends a text as typed, and begins the conversation if there is none.
   *
   * @param {string} words
   */
  say(words) {
    const client = this.host.open();
    client?.markUsed();
    client?.unblockSound(); // a press is the gesture that audio needs
    quietly(client?.sendMessage(words)); // the outbox shows a failure
    this.#said = true;
    this.draw();
  }

  /** A press on "Talk to ..." is the wish to be heard, too. @param {import("./model.js").Action} action */
  #press(action) {
    const { voice } = describe(this.#client, this.host.settings().t, this.host.settings());
    void this.act(action);
    if (action === "connect" && voice && supported("microphone")) quietly(this.#client?.take("microphone"));
  }

  /**
   * Carries out the action of a button; the client's state shows a failure.
   *
   * @param {import("./model.js").Action} action
   */
  async act(action) {
    this.#client?.markUsed();
    this.#client?.unblockSound(); // a press is the gesture that audio needs
    if (action === "hear") return;
    if (action === "interrupt") return quietly(this.#client?.interrupt());
    if (action === "microphoneOn") return quietly(this.#client?.take("microphone"));
    if (action === "cameraOn") return quietly(this.#client?.take("camera"));
    if (action === "end" && isShared(this.#client)) {
      this.panel.question.toggle(true);
      return;
    }
    if (action === "leave") {
      this.host.forget();
      this.#client?.close();
      if (this.host.settings().widget) this.choose({ display: "minimized" });
      return;
    }
    const begins = action !== "cancel" && action !== "end" && action !== "endForAll";
    this.#asked = begins;
    if (!begins) this.#said = false;
    this.draw();
    try {
      if (begins) await this.#begin(action === "retry");
      else {
        this.host.forget();
        await this.#client?.disconnect();
      }
    } catch {
      // The state of the link or the session shows the reason.
    } finally {
      this.#asked = false;
      this.schedule();
    }
  }

  /** @param {boolean} again */
  async #begin(again) {
    const client = this.host.open();
    if (client === null) return;
    const { phase } = client.link;
    const { connection_state, error_code } = client.state ?? {};
    const joined = connection_state === "connected" && !error_code;
    if (phase !== "live") await client.open();
    if (again && (joined || phase === "refused")) return;
    await client.connect();
  }

  /** @param {string} id */
  #pick(id) {
    this.#client?.markUsed();
    quietly(this.#client?.switchAgent(id));
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.key === "Escape" && this.panel.debug.open) {
      this.debug(false);
      return;
    }
    if (event.key === "Escape" && this.panel.approval.open && !takesText(event.target)) {
      event.stopPropagation();
      this.panel.approval.answer(false);
      return;
    }
    const { widget, options } = this.host.settings();
    if (!widget) return;
    if (event.key === "Escape" && this.#display === "expanded") {
      if (!options.showMinimize) return;
      event.stopPropagation();
      this.choose({ display: "minimized" });
      this.panel.focus("minimized");
    } else if (event.target === this.panel.bubble.element && this.drag.step(event.key)) {
      event.preventDefault();
      this.panel.announcer.tell(this.#whereabouts());
    }
  }

  #whereabouts() {
    const { t } = this.host.settings();
    const { side, at } = this.choices.place;
    const rtl = getComputedStyle(this.panel.element).direction === "rtl";
    const row = at < 0.2 ? "placeTop" : at > 0.8 ? "placeBottom" : "placeMiddle";
    const column = (side === "start") === !rtl ? "placeLeft" : "placeRight";
    return t("movedTo", { place: `${t(row)}, ${t(column)}` });
  }

  /** The display that was chosen; expanded while the agent asks a person, who may close it again. */
  get #display() {
    const asked = this.#client?.approvals?.[0]?.number ?? 0;
    return asked > this.#lowered && !this.panel.approval.isElsewhere ? "expanded" : this.choices.display;
  }

  /** Draws once, soon, for any number of changes. */
  schedule() {
    if (this.#scheduled || !this.#running) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.draw();
    });
  }

  draw() {
    if (!this.#running) return;
    const settings = this.host.settings();
    const { widget, shown, t, theme, options } = settings;
    const client = this.#client;
    this.host.element.toggleAttribute("data-away", !shown);
    const { element } = this.panel;
    if (theme === "light" || theme === "dark") element.dataset.theme = theme;
    else delete element.dataset.theme;
    const visible = this.pictures.find((one) => one.visible);
    const awake = shown && visible !== undefined;
    const given = { ...settings, asked: this.#asked, now: Date.now(), known: this.#known };
    const model = describe(client, t, given);
    this.#known = model.known ?? this.#known;
    const { mobile } = this;
    const choices = { ...this.choices, display: this.#display };
    this.panel.update({ client, model, t, choices, awake, widget, options, mobile });
    if (client !== null) SoundEffects.of(client).want(this.#key, options.sounds && shown);
    this.panel.float(widget && !options.contained && !this.#layered);
    this.#show(shown && !(widget && choices.display === "hidden"));
    this.#want(awake ? (visible?.height ?? 0) : -1);
    this.level.run(client, awake && model.live);
    this.#tick(client?.link.phase === "recovering");
    if (settings.autoConnect && shown && model.phase === "idle" && !this.#begun) {
      this.#begun = true;
      void this.act("connect");
    } else if (this.#said && model.phase === "idle") {
      this.#said = false;
      void this.act("connect");
    } else if (model.live) this.#said = false;
  }

  /** Whether the page says where it lies among its own layers. */
  get #layered() {
    return getComputedStyle(this.host.element).getPropertyValue("--ll-z-index").trim() !== "";
  }

  /** Whether the window is too small for a floating panel. */
  get mobile() {
    return innerWidth <= this.host.settings().options.mobileBreakpoint;
  }

  /** What a widget floats in: the window, or the element that it stands in. */
  #frame() {
    const { element } = this.host;
    if (!this.host.settings().options.contained) return new DOMRect(0, 0, innerWidth, innerHeight);
    const root = element.getRootNode();
    const around = element.parentElement ?? (root instanceof ShadowRoot ? root.host : document.documentElement);
    return around.getBoundingClientRect();
  }

  /** @param {boolean} shown whether a person can reach this surface: an automatic connect waits for one */
  #show(shown) {
    if (this.#client === null || shown === this.#retained) return;
    this.#retained = shown;
    if (shown) this.#client.retainSurface?.(this.#key);
    else this.#client.releaseSurface?.(this.#key);
  }

  /**
   * Tells the client the height of the picture that is wanted, in device pixels; -1: none.
   *
   * @param {number} height
   */
  #want(height) {
    if (this.#client === null || height === this.#held) return;
    this.#held = height;
    if (height < 0) this.#client.releaseVideo(this.#key);
    else this.#client.retainVideo(this.#key, { height });
  }

  /** @param {boolean} wanted seconds are counted down */
  #tick(wanted) {
    if (wanted === (this.#timer !== 0)) return;
    if (!wanted) clearInterval(this.#timer);
    this.#timer = wanted ? setInterval(() => this.draw(), SECOND) : 0;
  }
}

/** @param {Display} display @returns {Choices} */
function first(display) {
  return { display, place: null, size: null, captions: true, transcript: false };
}
