// @ts-check
/** Moves a widget by pointer or keys, to the nearer side and within the window. */

/** @import { Place } from "./preferences.js" */

const SLOP = 6; // px that a pointer may move before a press is a drag
const SNAP = 0.08; // of the way: a widget that is nearer to a corner snaps to it
const STEP = 0.25; // of the way: one arrow key

/**
 * @typedef {object} Carrier
 * @property {HTMLElement} element what moves
 * @property {() => Place} place
 * @property {(place: Place) => void} settle
 * @property {() => boolean} rtl
 * @property {() => DOMRectReadOnly} frame what it is in
 * @property {() => boolean} enabled
 */

export class Drag {
  /** @type {{id: number, x: number, y: number, moved: boolean, handle: HTMLElement} | null} */
  #grip = null;

  /** @param {Carrier} carrier */
  constructor(carrier) {
    this.carrier = carrier;
  }

  /**
   * Makes an element a handle to drag the widget by; a press without a move stays a click.
   *
   * @param {HTMLElement} handle
   */
  by(handle) {
    handle.addEventListener("pointerdown", (event) => this.#press(handle, event));
    handle.addEventListener("pointermove", (event) => this.#move(event));
    handle.addEventListener("pointerup", (event) => this.#drop(event));
    handle.addEventListener("pointercancel", () => this.#release());
    handle.addEventListener("dragstart", (event) => event.preventDefault());
  }

  /**
   * Moves one step; returns whether the key moves the widget.
   *
   * @param {string} key
   * @returns {boolean}
   */
  step(key) {
    const { side, at } = this.carrier.place();
    /** @type {Place | undefined} */
    const place = {
      ArrowUp: { side, at: Math.max(0, at - STEP) },
      ArrowDown: { side, at: Math.min(1, at + STEP) },
      ArrowLeft: { side: this.#side(true), at },
      ArrowRight: { side: this.#side(false), at },
      Home: { side, at: 0 },
      End: { side, at: 1 },
    }[key];
    if (place === undefined) return false;
    this.#settle(place);
    return true;
  }

  /** @param {HTMLElement} handle @param {PointerEvent} event */
  #press(handle, event) {
    if (event.button !== 0 || this.#grip || !this.carrier.enabled()) return;
    const inner = /** @type {Element} */ (event.target).closest("button, a, input, textarea");
    if (inner !== null && inner !== handle) return;
    this.#grip = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false, handle };
    handle.setPointerCapture(event.pointerId); // a fast pointer leaves it before the next move event
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const grip = this.#grip;
    if (grip === null || grip.id !== event.pointerId) return;
    const [x, y] = [event.clientX - grip.x, event.clientY - grip.y];
    if (!grip.moved) {
      if (Math.hypot(x, y) < SLOP) return;
      grip.moved = true;
      this.carrier.element.classList.add("carried");
    }
    this.carrier.element.style.setProperty("translate", `${x}px ${y}px`);
  }

  /** @param {PointerEvent} event */
  #drop(event) {
    const grip = this.#grip;
    if (grip === null || grip.id !== event.pointerId) return;
    const box = this.carrier.element.getBoundingClientRect();
    this.#release();
    if (!grip.moved) return;
    // The click at the end of a drag does not open the widget.
    grip.handle.addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => grip.handle.removeEventListener("click", swallow, { capture: true }));
    const frame = this.carrier.frame();
    const room = Math.max(1, frame.height - box.height);
    const at = Math.min(1, Math.max(0, (box.top - frame.top) / room));
    const left = box.left + box.width / 2 < frame.left + frame.width / 2;
    const snapped = at < SNAP ? 0 : at > 1 - SNAP ? 1 : Math.round(at * 1000) / 1000;
    this.#settle({ side: this.#side(left), at: snapped }, box);
  }

  #release() {
    this.#grip = null;
    this.carrier.element.classList.remove("carried");
    this.carrier.element.style.removeProperty("translate");
  }

  /** @param {boolean} left @returns {"start" | "end"} */
  #side(left) {
    return left === this.carrier.rtl() ? "end" : "start";
  }

  /** @param {Place} place @param {DOMRect} from */
  #settle(place, from = this.carrier.element.getBoundingClientRect()) {
    this.carrier.settle(place);
    const { element } = this.carrier;
    const to = element.getBoundingClientRect();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const offset = `${from.left - to.left}px ${from.top - to.top}px`;
    element.animate(
      { translate: [offset, "0 0"] },
      { duration: 280, easing: "cubic-bezier(0.2, 0.9, 0.25, 1)" },
    );
  }
}

/** @param {Event} event */
export function swallow(event) {
  event.stopImmediatePropagation();
  event.preventDefault();
}
