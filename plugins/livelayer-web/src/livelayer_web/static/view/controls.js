// @ts-check
/** The buttons: the microphone, large and in words; then camera, screen, devices, sound, transcript, end. */

import { SOURCES } from "../client/peer.js";
import { DevicePicker } from "./device-picker.js";
import { h, label, set, show, text } from "./dom.js";
import { icon, turn } from "./icons.js";
import { isHeld } from "./model.js";

/** @import { Client, PanelActions, Props, Source, SourceKind } from "./types.js" */
/** @typedef {{element: HTMLButtonElement, icon: SVGSVGElement}} Button */

/**
 * @param {import("./icons.js").IconName} drawing
 * @param {string} part
 * @param {(event: MouseEvent) => void} onclick
 * @returns {Button}
 */
export function button(drawing, part, onclick) {
  const svg = icon(drawing);
  const properties = { type: "button", class: `switch ${part}`, part: `button ${part}`, onclick };
  return { element: h("button", properties, svg), icon: svg };
}

const DOUBLE = 600; // ms within which a second tap belongs to the first

/**
 * A button for the action in its `data-action`; a double-click or double-tap carries out one, since
 * the second press may meet another action, as Cancel.
 *
 * @param {import("./dom.js").Properties} properties
 * @param {PanelActions} actions
 */
export function actionButton(properties, actions) {
  let last = -Infinity;
  const act = (/** @type {PointerEvent} */ event) => {
    const again = event.detail > 1 || (event.pointerType === "touch" && event.timeStamp - last < DOUBLE);
    last = event.timeStamp;
    if (!again) actions.act(/** @type {import("./model.js").Action} */ (element.dataset.action));
  };
  const element = h("button", { type: "button", ...properties, onclick: act });
  return element;
}

/** @param {import("./icons.js").IconName} drawing @param {() => void} onclick */
export function smallButton(drawing, onclick) {
  return h("button", { type: "button", class: "small", onclick }, icon(drawing));
}

export class Controls {
  /** @type {Client | null} */
  #client = null;
  /** @type {Props | null} */
  #props = null;
  /** Whether a compact row shows the rarer buttons too. */
  #unfolded = false;
  #order = "";

  /** @param {PanelActions} actions */
  constructor(actions) {
    /** @type {Record<SourceKind, Button>} */
    this.sources = {
      microphone: button("microphoneOff", "microphone", () => this.#toggle("microphone")),
      camera: button("camera", "camera", () => this.#toggle("camera")),
      screen: button("screen", "screen", () => this.#toggle("screen")),
    };
    this.does = h("span", { class: "does" });
    this.is = h("span", { class: "is" });
    const level = h("span", { class: "own-level", "aria-hidden": "true" }, h("i"), h("i"), h("i"), h("i"));
    this.sources.microphone.element.append(h("span", { class: "words" }, this.does, this.is), level);
    this.devices = new DevicePicker();
    this.speaker = button("speaker", "speaker", () => {
      const { muted, blocked } = this.#client?.speaker ?? {};
      if (blocked) this.#client?.unblockSound();
      else this.#client?.setSpeakerMuted(!muted);
    });
    this.transcript = button("transcript", "transcript-switch", () => {
      const shown = this.transcript.element.getAttribute("aria-pressed") === "true";
      actions.choose({ transcript: !shown });
    });
    this.end = button("hangUp", "end", () => actions.act("end"));
    const { camera, screen } = this.sources;
    this.rare = h("div", { class: "rare" }, camera, screen, this.devices, this.speaker, this.transcript);
    this.more = button("more", "more-switch", () => {
      this.#unfolded = !this.#unfolded;
      if (this.#props) this.update(this.#props);
    });
    this.element = h("div", { class: "controls", part: "controls", role: "group" });
  }

  /** @param {Props} props */
  update(props) {
    const { client, model, t, choices, widget, options } = props;
    this.#props = props;
    this.#client = client;
    show(this.element, model.live || model.early);
    set(this.element, "aria-label", t("controls"));
    for (const kind of SOURCES) {
      const { element } = this.sources[kind];
      const wanted = model.live || kind === "microphone";
      // While the server is gone, what it allows is not known.
      const held = kind === "microphone" && !client?.joined && isHeld(client);
      show(element, wanted && (model.may[kind] || held) && supported(kind));
      this.#source(kind, client?.sources?.[kind], t);
    }
    this.#microphone(client?.sources?.microphone, model.name, t);
    // A tooltip above the first row would cover the field.
    const compact = options.compactControls;
    this.element.classList.toggle("first-row", compact || Boolean(this.sources.microphone.element.hidden));
    this.devices.update(props);
    for (const { element } of [this.speaker, this.transcript]) show(element, model.live);
    const silent = Boolean(client?.speaker.muted || client?.speaker.blocked);
    label(this.speaker.element, t(silent ? "unmute" : "mute"));
    set(this.speaker.element, "aria-pressed", String(silent));
    turn(this.speaker.icon, silent ? "speakerOff" : "speaker");
    label(this.transcript.element, t("transcript"));
    set(this.transcript.element, "aria-pressed", String(choices.transcript));
    label(this.end.element, t("end"));
    show(this.end.element, model.live && model.control);
    show(this.more.element, compact && model.live);
    label(this.more.element, t("moreControls"));
    set(this.more.element, "aria-expanded", String(this.#unfolded));
    show(this.rare, !compact || this.#unfolded);
    this.#arrange(compact, widget && choices.place.side === "end");
  }

  /**
   * Puts the buttons into the order in which they are seen; End away from the bubble, which opens the
   * panel under the pointer.
   *
   * @param {boolean} compact the rarer buttons are a row of their own, below
   * @param {boolean} first whether End comes first
   */
  #arrange(compact, first) {
    const order = `${compact} ${first}`;
    if (order === this.#order) return;
    this.#order = order;
    const microphone = this.sources.microphone.element;
    const { element: more } = this.more;
    const row = compact ? [microphone, more] : [microphone, this.rare, more];
    const end = this.end.element;
    const focused = /** @type {HTMLElement | null} */ (this.element.querySelector(":focus"));
    this.element.classList.toggle("compact", compact);
    const others = row.slice(1);
    this.element.replaceChildren(microphone, ...(first ? [end, ...others] : [...others, end]), ...(compact ? [this.rare] : []));
    focused?.focus({ preventScroll: true });
  }

  /**
   * What the large button does, and how it stands.
   *
   * @param {Source | undefined} source
   * @param {string} name the agent's
   * @param {import("./strings.js").Translate} t
   */
  #microphone(source, name, t) {
    const { element } = this.sources.microphone;
    const state = stateOf(source);
    set(element, "data-state", state);
    set(element, "data-tip", null); // its words are there
    text(this.does, element.getAttribute("aria-label") ?? "");
    text(this.is, t(`microphoneIs${state}`, { name }));
    set(element, "aria-description", this.is.textContent);
  }

  /**
   * @param {SourceKind} kind
   * @param {Source | undefined} source
   * @param {import("./strings.js").Translate} t
   */
  #source(kind, source, t) {
    const { element, icon: svg } = this.sources[kind];
    const waits = source?.phase === "waiting";
    const held = source?.phase === "on";
    const wanted = waits || (held && !source.muted);
    const on = wanted && !source?.silenced;
    set(element, "aria-pressed", String(on));
    set(element, "aria-busy", waits || source?.phase === "asking" ? "true" : null);
    set(element, "data-source", source?.phase ?? "off");
    if (kind === "microphone") {
      label(element, t(waits ? "microphoneOff" : !held ? "microphoneOn" : wanted ? "microphoneMute" : "microphoneUnmute"));
      turn(svg, on ? "microphone" : "microphoneOff");
    } else {
      label(element, t(wanted ? `${kind}Off` : `${kind}On`));
      if (kind === "camera") turn(svg, on ? "camera" : "cameraOff");
    }
  }

  /** @param {SourceKind} kind */
  #toggle(kind) {
    const client = this.#client;
    const source = client?.sources?.[kind];
    if (!client || !source || source.phase === "asking") return;
    client.markUsed();
    // A muted microphone keeps its lease: unmuting must not depend on who else wants it.
    if (source.phase === "on" && kind === "microphone") client.setSourceMuted(kind, !source.muted);
    else if (source.phase === "on" || source.phase === "waiting") quietly(client.release(kind));
    else quietly(client.take(kind));
  }
}

/** @type {Partial<Record<Source["phase"], "Held" | "Blocked" | "Busy" | "Unavailable">>} */
const STATES = { waiting: "Held", denied: "Blocked", busy: "Busy", unavailable: "Unavailable" };

/** @param {Source | undefined} source */
function stateOf(source) {
  if (source?.phase === "on") return source.silenced ? "Silenced" : source.muted ? "Muted" : "On";
  return (source && STATES[source.phase]) ?? "Off";
}

/** Ignores a failure: the client's state shows the reason. @param {unknown} outcome */
export function quietly(outcome) {
  Promise.resolve(outcome).catch(() => undefined);
}

/** Whether the browser can. @param {SourceKind} kind */
export function supported(kind) {
  const devices = navigator.mediaDevices;
  return Boolean(kind === "screen" ? devices?.getDisplayMedia : devices?.getUserMedia);
}
