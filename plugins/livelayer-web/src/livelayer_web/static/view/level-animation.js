// @ts-check
/** Loudness as custom properties, the agent's `--_level` and the person's `--_own`; still while not visible. */

import { still } from "./stage.js";

/** @import { Client } from "./types.js" */

const STEP = 0.02; // a change smaller than this is not worth a style recalculation

export class LevelAnimation {
  #frame = 0;
  /** @type {Record<string, number>} */
  #shown = {};
  /** @type {Client | null} */
  #client = null;

  /**
   * @param {HTMLElement} element what carries the properties
   */
  constructor(element) {
    this.element = element;
  }

  /** @param {Client | null} client @param {boolean} wanted */
  run(client, wanted) {
    this.#client = client;
    const moving = wanted && client !== null && !still();
    if (moving && this.#frame === 0) this.#frame = requestAnimationFrame(this.#step);
    if (moving || this.#frame === 0) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#show("--_level", 0);
    this.#show("--_own", 0);
  }

  #step = () => {
    this.#frame = requestAnimationFrame(this.#step);
    const { level = 0, sources } = this.#client ?? {};
    const own = sources?.microphone;
    this.#show("--_level", level);
    this.#show("--_own", own?.phase === "on" && !own.muted ? (own.level ?? 0) : 0);
  };

  /** @param {string} name @param {number} level */
  #show(name, level) {
    // Speech is low on a linear scale: a square root makes its changes visible.
    const value = Math.sqrt(Math.min(1, Math.max(0, level)));
    const shown = this.#shown[name] ?? -1;
    if (value === shown || (Math.abs(value - shown) < STEP && value !== 0)) return;
    this.#shown[name] = value;
    this.element.style.setProperty(name, value.toFixed(2));
  }
}
