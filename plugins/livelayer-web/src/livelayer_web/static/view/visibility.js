// @ts-check
/** Whether a picture is visible, and its height, as the session needs to know. */

export class Visibility {
  #intersecting = false;
  height = 0;

  /** @param {Element} element @param {() => void} changed */
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    this.intersection = new IntersectionObserver((entries) => {
      const intersecting = entries.at(-1)?.isIntersecting ?? false;
      if (intersecting === this.#intersecting) return;
      this.#intersecting = intersecting;
      changed();
    });
    this.size = new ResizeObserver((entries) => {
      const box = entries.at(-1)?.contentRect;
      const height = Math.round((box?.height ?? 0) * devicePixelRatio);
      if (height === this.height) return;
      this.height = height;
      changed();
    });
  }

  get visible() {
    return this.#intersecting && document.visibilityState === "visible";
  }

  /** Starts with a measurement, so that the first picture does not wait for a frame. */
  watch() {
    const box = this.element.getBoundingClientRect();
    this.height = Math.round(box.height * devicePixelRatio);
    this.#intersecting = box.height > 0 && box.bottom > 0 && box.top < innerHeight;
    this.intersection.observe(this.element);
    this.size.observe(this.element);
    document.addEventListener("visibilitychange", this.changed);
  }

  stop() {
    this.intersection.disconnect();
    this.size.disconnect();
    document.removeEventListener("visibilitychange", this.changed);
    this.#intersecting = false;
  }
}
