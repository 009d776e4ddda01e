// @ts-check
/** The page's life cycle: hidden, frozen, in the back-forward cache, resumed, offline, left. */

/**
 * @typedef {object} LifecycleHooks
 * @property {() => void} leave the page goes, perhaps to come back
 * @property {() => void} remember it may be discarded without notice
 * @property {() => void} forget it was not discarded
 * @property {() => void} back it came back after `leave`
 * @property {() => void} wake time has passed, or the network is back
 * @property {() => void} seen it is shown, or not any more
 * @property {() => void} used by a person
 */

export class Lifecycle {
  #end = new AbortController();
  #started = false;

  /** @param {LifecycleHooks} hooks */
  constructor(hooks) {
    this.hooks = hooks;
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.#end = new AbortController();
    const { signal } = this.#end;
    const { hooks } = this;
    addEventListener("pagehide", () => hooks.leave(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.#back(), { signal });
    addEventListener("online", () => hooks.wake(), { signal });
    document.addEventListener("freeze", () => hooks.remember(), { signal });
    document.addEventListener("resume", () => this.#awake(), { signal });
    const used = (/** @type {Event} */ event) => event.isTrusted && hooks.used();
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used, { signal, capture: true, passive: true });
    document.addEventListener("visibilitychange", () => this.#seen(), { signal });
  }

  stop() {
    this.#started = false;
    this.#end.abort();
  }

  #back() {
    this.hooks.forget();
    this.hooks.back();
  }

  #awake() {
    this.hooks.forget();
    this.hooks.wake();
  }

  #seen() {
    if (document.visibilityState === "visible") this.hooks.wake();
    this.hooks.seen();
  }
}
