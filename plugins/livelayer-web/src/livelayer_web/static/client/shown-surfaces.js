// @ts-check
/** The surfaces that a page shows, and the height of the largest picture that they want. */

export class ShownSurfaces {
  /** The surfaces shown now, small or large. @type {Set<string>} */
  shown = new Set();
  /** @type {Map<string, number>} */
  #heights = new Map();

  /**
   * @param {string} key
   * @param {number} height device pixels
   * @returns {boolean} whether that changes what is wanted
   */
  retain(key, height) {
    if (this.#heights.get(key) === height) return false;
    this.#heights.set(key, height);
    return true;
  }

  /** @param {string} key */
  release(key) {
    return this.#heights.delete(key);
  }

  /**
   * @param {string} key
   * @param {boolean} shown
   * @returns {boolean} whether that is a change
   */
  show(key, shown) {
    if (this.shown.has(key) === shown) return false;
    if (shown) this.shown.add(key);
    else this.shown.delete(key);
    return true;
  }

  /** @returns {import("./heartbeat.js").Wants} */
  get wants() {
    // Audio continues in a hidden tab; video is for visible pages.
    const video = this.#heights.size > 0 && document.visibilityState === "visible";
    if (!video) return { video, audio: true };
    return { video, audio: true, height: Math.max(1, Math.ceil(Math.max(...this.#heights.values()))) };
  }
}
