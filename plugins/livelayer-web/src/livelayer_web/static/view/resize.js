// @ts-check
/** Resizes a widget's panel by its free corner, with the pointer or with keys. */

import { h } from "./dom.js";

/** @import { Place, Size } from "./preferences.js" */

const LEAST = { width: 280, height: 380 }; // px: the controls stay usable
const MARGIN = 16; // px between a widget and the edge of the window
const STEP = 32; // px: one arrow key

/**
 * @typedef {object} Resized
 * @property {HTMLElement} element what changes its size
 * @property {() => Place} place
 * @property {() => DOMRectReadOnly} frame what it is in
 * @property {() => boolean} rtl
 * @property {(size: Size | null) => void} settle null: the size that the page gives it
 */

export class Resize {
  /** @type {{id: number, x: number, y: number, from: DOMRect} | null} */
  #grip = null;

  /** @param {Resized} resized */
  constructor(resized) {
    this.resized = resized;
    this.hint = h("span", { id: "grip-hint", class: "unseen" });
    this.element = h("button", { type: "button", class: "grip", part: "grip", "aria-describedby": "grip-hint" });
    const { element } = this;
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", (event) => this.#drop(event));
    element.addEventListener("pointercancel", () => this.#release());
    element.addEventListener("dblclick", () => resized.settle(null));
    // A key's click has no presses.
    element.addEventListener("click", ({ detail }) => detail === 0 && resized.settle(null));
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Whether a pointer holds it now. */
  get pulled() {
    return this.#grip !== null;
  }

  /**
   * Where the free corner is, away from the corner of the window that the widget is in.
   *
   * @returns {{x: -1 | 1, y: -1 | 1}} the direction in which it grows
   */
  get corner() {
    const { side, at } = this.resized.place();
    return { x: (side === "end") !== this.resized.rtl() ? -1 : 1, y: at >= 0.5 ? -1 : 1 };
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (event.button !== 0 || this.#grip) return;
    const from = this.resized.element.getBoundingClientRect();
    this.#grip = { id: event.pointerId, x: event.clientX, y: event.clientY, from };
    this.element.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const size = this.#sizeAt(event);
    if (size === null) return;
    this.resized.element.classList.add("resized");
    applySize(this.resized.element, size);
  }

  /** @param {PointerEvent} event */
  #drop(event) {
    const size = this.#sizeAt(event);
    const moved = event.clientX !== this.#grip?.x || event.clientY !== this.#grip?.y;
    this.#release();
    if (size !== null && moved) this.resized.settle(size);
  }

  #release() {
    this.#grip = null;
    this.resized.element.classList.remove("resized");
  }

  /**
   * The size with which the free corner is under the pointer.
   *
   * @param {PointerEvent} event
   * @returns {Size | null}
   */
  #sizeAt(event) {
    const grip = this.#grip;
    if (grip === null || grip.id !== event.pointerId) return null;
    const { x, y } = this.corner;
    const { at } = this.resized.place();
    // A widget that is not in a corner grows both ways: only a part of it moves the free edge.
    const share = y < 0 ? at : 1 - at;
    const { width, height } = grip.from;
    return this.#within(width + (event.clientX - grip.x) * x, height + ((event.clientY - grip.y) * y) / share);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { width, height } = this.resized.element.getBoundingClientRect();
    const { x, y } = this.corner;
    this.resized.settle(this.#within(width + step[0] * x * STEP, height + step[1] * y * STEP));
  }

  /** @param {number} width @param {number} height @returns {Size} */
  #within(width, height) {
    const frame = this.resized.frame();
    const most = { width: frame.width - 2 * MARGIN, height: frame.height - 2 * MARGIN };
    return {
      width: Math.round(Math.max(LEAST.width, Math.min(width, most.width))),
      height: Math.round(Math.max(LEAST.height, Math.min(height, most.height))),
    };
  }
}

/**
 * @param {HTMLElement} element
 * @param {Size | null} size null: the size that the page gives it
 */
export function applySize(element, size) {
  for (const [name, value] of /** @type {const} */ ([["--_own-w", size?.width], ["--_own-h", size?.height]])) {
    if (value === undefined) element.style.removeProperty(name);
    else element.style.setProperty(name, `${value}px`);
  }
}
