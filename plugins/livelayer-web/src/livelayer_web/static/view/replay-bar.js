// @ts-check
/** The bar of a session that plays a recording: play and pause, where it is, and how fast. */

import { button, quietly } from "./controls.js";
import { h, label, set, show, text } from "./dom.js";
import { turn } from "./icons.js";

/** @import { Client, Props } from "./types.js" */
/** @import { Replay } from "../client/types.js" */

const SPEEDS = [0.5, 1, 1.5, 2, 4];
const TICK = 250; // ms
const SECOND = 1000; // ms

export class ReplayBar {
  /** @type {Client | null} */
  #client = null;
  /** What the server said last. @type {Replay | null} */
  #told = null;
  /** What is shown. @type {Replay | null} */
  #replay = null;
  /** When the server said where it is, on the clock of `performance.now()`. */
  #since = 0;
  /** A person moves the slider. */
  #moving = false;
  #timer = 0;
  /** @type {Props["t"] | null} */
  #t = null;

  constructor() {
    this.play = button("play", "play", () => this.#toggle());
    this.slider = h("input", {
      type: "range",
      class: "position",
      part: "position",
      min: 0,
      step: 0.1,
      oninput: () => this.#move(),
      onchange: () => this.#seek(),
    });
    this.time = h("span", { class: "time", "aria-hidden": "true" });
    this.speed = h("select", {
      class: "speed",
      part: "speed",
      onchange: () => this.#ask({ speed: Number(this.speed.value) }),
    });
    const properties = { class: "replay", part: "replay", role: "group", hidden: true };
    this.element = h("div", properties, this.play.element, this.slider, this.time, this.speed);
    this.slider.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Props} props */
  update({ client, t, awake }) {
    const replay = (client?.joined?.grants.includes("control") && client.info?.replay) || null;
    if (replay !== this.#told) {
      this.#told = this.#replay = replay;
      this.#since = performance.now();
    }
    this.#client = client;
    this.#t = t;
    show(this.element, replay !== null);
    this.#tick(awake && this.#replay?.paused === false);
    if (replay === null) return;
    set(this.element, "aria-label", t("replay"));
    set(this.slider, "aria-label", t("replayPosition"));
    set(this.slider, "max", replay.duration);
    set(this.speed, "aria-label", t("replaySpeed"));
    this.#drawSpeed(this.#replay?.speed ?? replay.speed);
    this.#draw();
  }

  release() {
    this.#tick(false);
  }

  /** Where it is now, in seconds. @param {Replay} replay */
  #position({ position, duration, speed, paused }) {
    const passed = paused ? 0 : ((performance.now() - this.#since) / SECOND) * speed;
    return Math.min(duration, position + passed);
  }

  #draw() {
    const replay = this.#replay;
    if (replay === null || this.#t === null) return;
    const position = this.#position(replay);
    const stands = replay.paused || position >= replay.duration;
    label(this.play.element, this.#t(stands ? "replayPlay" : "replayPause"));
    turn(this.play.icon, stands ? "play" : "pause");
    if (!this.#moving) this.slider.value = String(position);
    this.#drawTime(this.#moving ? Number(this.slider.value) : position, replay.duration);
  }

  /** @param {number} position @param {number} duration */
  #drawTime(position, duration) {
    const values = { position: clock(position), duration: clock(duration) };
    text(this.time, `${values.position} / ${values.duration}`);
    set(this.slider, "aria-valuetext", this.#t?.("replayTime", values));
  }

  /** @param {number} speed */
  #drawSpeed(speed) {
    const speeds = SPEEDS.includes(speed) ? SPEEDS : [...SPEEDS, speed].sort((one, other) => one - other);
    if (this.speed.options.length !== speeds.length) {
      this.speed.replaceChildren(...speeds.map((one) => h("option", { value: one }, `${one}×`)));
    }
    if (this.speed.value !== String(speed)) this.speed.value = String(speed);
  }

  #toggle() {
    const replay = this.#replay;
    if (replay === null) return;
    const ended = this.#position(replay) >= replay.duration;
    if (ended) this.#ask({ position: 0, paused: false });
    else this.#ask({ paused: !replay.paused });
  }

  #move() {
    this.#moving = true;
    this.#draw();
  }

  #seek() {
    this.#moving = false;
    this.#ask({ position: Number(this.slider.value) });
  }

  /** The keys of a slider move it by whole seconds. @param {KeyboardEvent} event */
  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    const sideways = event.key.endsWith("t") && getComputedStyle(this.slider).direction === "rtl" ? -1 : 1;
    const step = Reflect.get(steps, event.key) * sideways;
    const replay = this.#replay;
    if (Number.isNaN(step) || replay === null) return;
    event.preventDefault();
    const position = Math.max(0, Math.min(replay.duration, Number(this.slider.value) + step));
    this.slider.value = String(position);
    this.#ask({ position });
  }

  /** @param {import("../client/types.js").ReplayBody} change */
  #ask(change) {
    this.#client?.markUsed();
    const replay = this.#replay;
    if (replay !== null) {
      // Shown at once; the server's answer comes with the next `info`.
      this.#replay = { ...replay, position: this.#position(replay), ...change };
      this.#since = performance.now();
      this.#draw();
    }
    quietly(this.#client?.controlReplay(change));
  }

  /** @param {boolean} wanted the position moves */
  #tick(wanted) {
    if (wanted === (this.#timer !== 0)) return;
    clearInterval(this.#timer);
    this.#timer = wanted ? setInterval(() => this.#draw(), TICK) : 0;
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const end = `${hours ? String(minutes).padStart(2, "0") : minutes}:${String(rest).padStart(2, "0")}`;
  return hours ? `${hours}:${end}` : end;
}
