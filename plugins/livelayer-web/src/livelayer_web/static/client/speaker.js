// @ts-check
/** Plays the agent's voice: one audio element for the session, however many surfaces show it. */

import { LevelMeter } from "./audio-level.js";

/** @import { Device, SpeakerState } from "./types.js" */

const GESTURES = ["pointerup", "click", "keydown", "touchend"];

/**
 * Plays as soon as the browser allows it. If it requires a gesture first, `state.blocked` is true
 * until the next gesture anywhere on the page, or `unblock()`.
 */
export class Speaker {
  /** @type {SpeakerState} */
  state;
  meter = new LevelMeter();
  /** @type {HTMLAudioElement | null} */
  #element = null;
  /** @type {MediaStream | null} */
  #stream = null;
  #gestures = new AbortController();
  /** What it plays on; null: the default. @type {Device | null} */
  #device = null;

  /** @param {boolean} muted @param {() => void} changed */
  constructor(muted, changed) {
    this.state = { muted, blocked: false, code: null, device: null };
    this.changed = changed;
  }

  /** @param {MediaStreamTrack | null} track null: there is no sound now */
  attach(track) {
    this.#stream = track === null ? null : new MediaStream([track]);
    this.meter.attach(this.#stream);
    if (this.#stream === null && this.#element === null) return;
    const element = this.#place();
    element.srcObject = this.#stream;
    if (this.#stream !== null && this.#mayTry) void this.#play();
  }

  /** @param {boolean} muted by the user */
  mute(muted) {
    this.#set({ muted });
    if (this.#element !== null) this.#element.muted = muted;
    if (!muted && this.state.blocked) void this.unblock();
  }

  /**
   * @param {Device | null} device null: the default
   * @returns {Promise<boolean>} whether it plays there
   */
  async route(device) {
    try {
      await this.#sink(this.#place(), device);
    } catch {
      this.#set({ code: "SPEAKER_FAILED", device: device?.label ?? null });
      return false;
    }
    this.#device = device;
    this.#set({ code: null, device: null });
    return true;
  }

  /** Plays on the chosen device while it is there, else on the default. @param {Device | null} chosen */
  async follow(chosen) {
    const before = this.#device;
    if (chosen?.id === before?.id) return;
    await this.route(chosen);
    if (chosen === null && this.#device === null && before !== null) {
      this.#set({ code: "SPEAKER_UNPLUGGED", device: before.label });
    }
  }

  /** Call this in a user gesture. */
  async unblock() {
    this.meter.resume();
    if (this.#stream === null) return;
    await this.#play();
  }

  /** Removes the element from the page. */
  close() {
    this.#gestures.abort();
    this.attach(null);
    this.meter.close();
    this.#element?.remove();
    this.#element = null;
    this.#set({ blocked: false });
  }

  /** @returns {HTMLAudioElement} */
  #place() {
    let element = this.#element;
    if (element === null) {
      element = document.createElement("audio");
      element.dataset.livelayer = "sound";
      element.autoplay = true;
      // A page that replaces its body takes the element with it, which pauses it.
      element.addEventListener("pause", () => {
        if (this.#stream !== null && this.#mayTry) void this.#play();
      });
      this.#element = element;
      void this.#sink(element, this.#device).catch(() => {});
    }
    // Outside of the body, which client-side routers replace.
    if (!element.isConnected) document.documentElement.append(element);
    return element;
  }

  /** @param {HTMLAudioElement} element @param {Device | null} device */
  async #sink(element, device) {
    const id = device?.id ?? "";
    if (element.sinkId !== undefined && element.sinkId !== id) await element.setSinkId(id);
  }

  /** After a refusal, playing is not tried again before a gesture. */
  get #mayTry() {
    return !this.state.blocked || (navigator.userActivation?.hasBeenActive ?? false);
  }

  async #play() {
    const element = this.#place();
    const { blocked } = this.state;
    try {
      element.muted = this.state.muted;
      await element.play();
      this.#set({ blocked: false });
      this.#gestures.abort();
      // Without a gesture the browser keeps this one silent, and says so in its console.
      if (blocked || navigator.userActivation?.hasBeenActive) this.meter.resume();
      else this.#listen();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return; // a newer track
      this.#set({ blocked: true });
      this.#listen();
    }
  }

  #listen() {
    this.#gestures.abort();
    this.#gestures = new AbortController();
    const { signal } = this.#gestures;
    const turnOn = () => void this.unblock();
    for (const kind of GESTURES) addEventListener(kind, turnOn, { signal, capture: true, passive: true });
  }

  /** @param {Partial<SpeakerState>} change */
  #set(change) {
    const next = { ...this.state, ...change };
    if (JSON.stringify(next) === JSON.stringify(this.state)) return;
    this.state = next;
    this.changed();
  }
}
