// @ts-check
/** The agent's loudness as the custom property `--_level`; it does not run while it is not visible. */

import { still } from "./stage.js";

/** @import { Client } from "./types.js" */

const STEP = 0.02; // a change smaller than this is not worth a style recalculation

export class LevelAnimation {
  #frame = 0;
  #shown = -1;
  /** @type {Client | null} */
  #client = null;

  /**
   * @param {HTMLElement} element what carries the property
   * @param {() => void} tick called each frame while it runs
   */
  constructor(element, tick) {
    this.element = element;
    this.tick = tick;
  }

  /** @param {Client | null} client @param {boolean} wanted */
  run(client, wanted) {
    this.#client = client;
    const moving = wanted && client !== null && !still();
    if (moving && this.#frame === 0) this.#frame = requestAnimationFrame(this.#step);
    if (moving || this.#frame === 0) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#show(0);
  }

  #step = () => {
    this.#frame = requestAnimationFrame(this.#step);
    this.#show(this.#client?.level ?? 0);
    this.tick();
  };

  /** @param {number} level */
  #show(level) {
    // Speech is low on a linear scale: a square root makes its changes visible.
    const value = Math.sqrt(Math.min(1, Math.max(0, level)));
    if (Math.abs(value - this.#shown) < STEP && value !== 0) return;
    this.#shown = value;
    this.element.style.setProperty("--_level", value.toFixed(2));
  }
}
