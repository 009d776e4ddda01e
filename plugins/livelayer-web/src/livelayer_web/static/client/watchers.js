// @ts-check
/** Which surfaces a page shows, and how large a picture the largest of them wants. */

export class Watchers {
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
   * @returns {boolean} whether that is news
   */
  show(key, shown) {
    if (this.shown.has(key) === shown) return false;
    if (shown) this.shown.add(key);
    else this.shown.delete(key);
    return true;
  }

  /** @returns {import("./beat.js").Wants} */
  get wants() {
    // Sound goes on behind another tab; pictures are for who looks.
    const video = this.#heights.size > 0 && document.visibilityState === "visible";
    if (!video) return { video, audio: true };
    return { video, audio: true, height: Math.max(1, Math.ceil(Math.max(...this.#heights.values()))) };
  }
}
