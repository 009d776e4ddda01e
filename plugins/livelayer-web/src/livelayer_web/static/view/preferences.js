// @ts-check
/** A person's preferences for a widget, stored under its key; widgets with the same key share them. */

import { readJson, storageOf, writeJson } from "../client/storage.js";

/** @typedef {"hidden" | "minimized" | "expanded"} Display */

/**
 * @typedef {object} Place where a widget sits: at one side of the window, somewhere along it
 * @property {"start" | "end"} side
 * @property {number} at 0 is the top, 1 the bottom
 */

/** @typedef {{width: number, height: number}} Size of a widget's panel, in px */

/**
 * @typedef {object} Choices
 * @property {Display} display
 * @property {Place | null} place null: where the page puts it
 * @property {Size | null} size null: as large as the page makes it
 * @property {boolean} captions
 * @property {boolean} transcript
 */

/** @type {readonly Display[]} */
export const DISPLAYS = ["hidden", "minimized", "expanded"];

/** All that are in use: those with the same key update each other. @type {Set<Preferences>} */
const all = new Set();

export class Preferences {
  /** @type {Choices} */
  #choices;
  /** @type {string} */
  #key;
  /** @type {() => void} */
  #changed;

  /**
   * Guarantee: what was remembered wins over `start`; a storage that is full, not allowed or
   * not valid is ignored.
   *
   * @param {string} key empty: nothing is remembered
   * @param {Choices} start
   * @param {() => void} changed called when another widget of the same key chose
   */
  constructor(key, start, changed) {
    this.#key = key;
    this.#changed = changed;
    this.#choices = { ...start, ...read(key) };
    if (key !== "") all.add(this);
  }

  /** @returns {Choices} */
  get choices() {
    return this.#choices;
  }

  /** @param {Partial<Choices>} choices */
  choose(choices) {
    this.#choices = { ...this.#choices, ...choices };
    if (this.#key === "") return;
    writeJson(storageOf("localStorage"), this.#key, this.#choices);
    for (const other of all) {
      if (other === this || other.#key !== this.#key) continue;
      other.#choices = { ...this.#choices };
      other.#changed();
    }
  }

  /** Ends the sharing; stored preferences stay. */
  close() {
    all.delete(this);
  }
}

/** @param {string} key @returns {Partial<Choices>} */
function read(key) {
  /** @type {Partial<Choices>} */
  const choices = {};
  const kept = key === "" ? null : readJson(storageOf("localStorage"), key, /** @type {any} */ (null));
  if (typeof kept !== "object" || kept === null) return choices;
  if (DISPLAYS.includes(kept.display)) choices.display = kept.display;
  const { side, at } = kept.place ?? {};
  if ((side === "start" || side === "end") && at >= 0 && at <= 1) choices.place = { side, at };
  const { width, height } = kept.size ?? {};
  if (width > 0 && height > 0 && width < Infinity && height < Infinity) choices.size = { width, height };
  if (typeof kept.captions === "boolean") choices.captions = kept.captions;
  if (typeof kept.transcript === "boolean") choices.transcript = kept.transcript;
  return choices;
}
