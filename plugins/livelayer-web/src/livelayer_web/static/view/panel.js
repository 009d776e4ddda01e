// @ts-check
/** A panel: its parts, what each is given to draw, and what they ask for. */

import { isVisible } from "../client/older.js";
import { ApprovalCard } from "./approval.js";
import { Bubble, Tab } from "./bubble.js";
import { Captions } from "./captions.js";
import { Composer } from "./composer.js";
import { Controls, button } from "./controls.js";
import { Placeholder } from "./placeholder.js";
import { Debug } from "./debug.js";
import { h, label, set, show, text } from "./dom.js";
import { swallow } from "./drag.js";
import { EndQuestion } from "./end-question.js";
import { FieldList } from "./fields.js";
import { icon } from "./icons.js";
import { SessionLog } from "./session-log.js";
import { NoticeBar } from "./notice-bar.js";
import { Options } from "./options.js";
import { Preview } from "./preview.js";
import { ReplayBar } from "./replay-bar.js";
import { applySize } from "./resize.js";
import { Stage } from "./stage.js";
import { Status } from "./status.js";
import { Suggestions } from "./suggestions.js";
import { Team } from "./team.js";
import { TranscriptList } from "./transcript-list.js";
import { Announcer } from "./announcer.js";

/** @import { PanelActions, Props } from "./types.js" */

/** @type {Props["entries"]} */
const NOTHING = [];

const GESTURE = 600; // ms within which a further press belongs to the one that opened the panel
const NEAR = 24; // px

export class Panel {
  /** The press that opened it. @type {MouseEvent | null} */
  #opening = null;
  /** @type {import("./resize.js").Resize | null} */
  grip = null;

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.actions = actions;
    this.announcer = new Announcer();
    this.captions = new Captions();
    this.placeholder = new Placeholder(actions);
    this.preview = new Preview();
    this.hearWords = h("span");
    const press = { type: "button", class: "hear", part: "action", onclick: () => actions.act("hear") };
    this.hear = h("button", { ...press, hidden: true }, icon("speakerOff"), this.hearWords);
    this.suggestions = new Suggestions(actions);
    this.stage = new Stage(this.placeholder, this.preview);
    this.status = new Status();
    this.team = new Team(actions);
    this.options = new Options(actions);
    this.minimise = button("down", "minimise", () => actions.choose({ display: "minimized" }));
    this.close = button("close", "close", () => actions.choose({ display: "hidden" }));
    this.transcript = new TranscriptList();
    this.fields = new FieldList();
    this.notices = new NoticeBar(actions);
    this.controls = new Controls(actions);
    this.composer = new Composer(actions);
    this.replay = new ReplayBar();
    this.question = new EndQuestion(actions);
    this.approval = new ApprovalCard();
    this.debug = new Debug(actions.toggleDebug);
    const { stage, status, team, options, minimise, close, transcript, fields, notices, approval, composer, question, controls, captions, hear, suggestions, replay } = this;
    this.head = h("div", { class: "head", part: "head" }, status, team, options, minimise, close);
    this.side = h("div", { class: "side", part: "side" }, hear, transcript, suggestions, fields, notices, approval, composer, question, controls, replay);
    this.panel = h("div", { class: "panel", part: "panel" }, stage, captions, this.head, this.side, this.debug);
    this.bubble = new Bubble((event) => {
      this.#opening = event;
      actions.choose({ display: "expanded" });
    }, actions);
    for (const kind of /** @type {const} */ (["pointerdown", "mousedown", "pointerup", "mouseup", "click", "dblclick"])) {
      this.panel.addEventListener(kind, (event) => this.#guard(event), { capture: true });
    }
    this.tab = new Tab(() => actions.choose({ display: "minimized" }));
    this.element = h(
      "section",
      { class: "root", part: "root" },
      this.announcer.status,
      this.announcer.log,
      this.panel,
      this.bubble,
      this.bubble.stop,
      this.bubble.hint,
      this.tab,
    );
  }

  /** Adds the grip by which a person resizes it. @param {import("./resize.js").Resize} resize */
  hold(resize) {
    this.grip = resize;
    this.panel.after(resize.element, resize.hint);
  }

  /** @param {Omit<Props, "entries" | "activities">} given */
  update(given) {
    const { client, model, t, choices, widget, options, mobile } = given;
    const display = widget ? choices.display : "expanded";
    const log = client ? SessionLog.of(client) : null;
    const activities = log?.activities.list(client?.state ?? null) ?? [];
    const props = { ...given, entries: this.#entries(client), activities };
    const root = this.element;
    root.classList.toggle("widget", widget);
    root.classList.toggle("contained", widget && options.contained);
    root.classList.toggle("mobile", widget && mobile);
    this.panel.classList.toggle("chromeless", options.chromeless);
    this.#grip(given, display);
    set(root, "data-display", widget ? display : null);
    set(root, "data-side", widget ? choices.place.side : null);
    set(root, "data-phase", model.phase);
    root.style.setProperty("--_at", String(choices.place.at));
    set(root, "aria-label", t(widget ? "regionFloating" : "region", { name: model.name }));
    show(this.panel, display === "expanded");
    show(this.bubble.element, display === "minimized");
    show(this.bubble.hint, display === "minimized");
    show(this.tab.element, display === "hidden");
    this.panel.classList.toggle("live", model.live);
    const writing = model.live || model.early || model.writes || (client?.pending.length ?? 0) > 0;
    this.panel.classList.toggle("writing", writing);
    root.classList.toggle("awake", props.awake);
    this.panel.classList.toggle("reading", model.live && choices.transcript);
    show(this.minimise.element, widget && options.showMinimize);
    label(this.minimise.element, t("minimise"));
    show(this.close.element, widget && options.showClose && options.chromeless); // else it is in the menu
    label(this.close.element, t("hide"));
    show(this.hear, model.live && Boolean(client?.speaker.blocked) && !client?.speaker.muted);
    text(this.hearWords, t("hear", { name: model.name }));
    this.debug.follow(log);
    const looking = { ...props, awake: props.awake && display === "expanded" };
    for (const part of [this.stage, this.preview]) part.update(looking);
    const { captions, placeholder, status, team, notices, transcript, controls, composer, question, approval, debug, replay } = this;
    const parts = [captions, placeholder, status, team, notices, transcript, controls, composer, question, approval, debug, replay];
    for (const part of parts) {
      part.update(props);
    }
    this.panel.classList.toggle("captioned", !captions.element.hidden);
    this.options.update(props, this.debug.open);
    this.suggestions.update(props, model.live);
    this.fields.update(props, log?.fields ?? null);
    this.bubble.update({ ...props, awake: props.awake && display === "minimized" });
    this.tab.update(props);
    this.announcer.update({ ...props, awake: props.awake && display !== "hidden" });
  }

  /** @param {Omit<Props, "entries" | "activities">} given @param {import("./preferences.js").Display} display */
  #grip({ widget, options, mobile, choices, t }, display) {
    if (!this.grip) return;
    const { element, hint } = this.grip;
    const resizable = widget && options.resizable && !mobile;
    if (!this.grip.pulled) applySize(this.element, resizable ? choices.size : null);
    for (const one of [element, hint]) show(one, resizable && display === "expanded");
    if (element.hidden) return;
    const { corner } = this.grip;
    set(element, "data-corner", `${corner.y < 0 ? "top" : "bottom"} ${corner.x < 0 ? "left" : "right"}`);
    set(element, "aria-label", t("resize"));
    text(hint, t("resizeHint"));
  }

  /**
   * The conversation without the lines that the composer still shows.
   *
   * @param {Props["client"]} client
   * @returns {Props["entries"]}
   */
  #entries(client) {
    const said = client?.state?.transcript ?? NOTHING;
    const waiting = new Set(client?.pending.map((one) => one.id));
    return said.some((one) => waiting.has(one.id)) ? said.filter((one) => !waiting.has(one.id)) : said;
  }

  /**
   * The second press of a double-click is not meant for what opened under it.
   *
   * @param {MouseEvent} event
   */
  #guard(event) {
    const first = this.#opening;
    if (first === null || (event.type === "click" && event.detail === 0)) return; // a key, or a script
    const far = Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY);
    if (event.timeStamp - first.timeStamp < GESTURE && far < NEAR) swallow(event);
  }

  /**
   * Moves the focus to where a person continues after the display has changed.
   *
   * @param {import("./preferences.js").Display} display
   */
  focus(display) {
    if (display === "minimized") this.bubble.element.focus();
    else if (display === "hidden") this.tab.element.focus();
    else {
      // Where a finger opened it, a field in focus would cover half of it with a keyboard.
      const field = matchMedia("(pointer: coarse)").matches ? [] : [this.composer.field];
      const first = isVisible(this.placeholder.button) ? [this.placeholder.button, ...field] : field;
      const places = [...first, this.controls.sources.microphone.element, this.minimise.element];
      places.find(isVisible)?.focus({ preventScroll: true });
    }
  }

  /**
   * Above everything of the page, whatever clips or transforms its ancestors; else where it stands.
   *
   * @param {boolean} above
   */
  float(above) {
    const { element } = this;
    if (!("popover" in element) || above === element.matches(":popover-open")) return;
    set(element, "popover", above ? "manual" : null); // without it, it is hidden
    if (above && element.isConnected) element.showPopover();
  }

  /** The elements that show a picture now. */
  get picture() {
    return this.bubble.element.hidden ? this.stage.element : this.bubble.element;
  }

  /** Releases pictures, timers and listeners; `update` starts them again. */
  release() {
    this.stage.release();
    this.preview.release();
    this.bubble.release();
    this.approval.release();
    this.replay.release();
    this.debug.follow(null);
    this.announcer.close();
  }
}
