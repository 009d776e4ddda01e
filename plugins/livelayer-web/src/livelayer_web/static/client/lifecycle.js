// @ts-check
/** The page's life cycle: hidden, frozen, in the back-forward cache, resumed, offline, left. */

/**
 * @typedef {object} LifecycleHooks
 * @property {() => void} leave the page goes, perhaps to come back
 * @property {() => void} freeze its script stops, and it may be discarded without notice
 * @property {() => void} resume it was not discarded
 * @property {() => void} back it came back after `leave`
 * @property {() => void} wake the network is back
 * @property {() => void} seen it is shown, or not any more
 * @property {() => void} used by a person
 */

/** @param {LifecycleHooks} hooks @returns {AbortController} ends it */
export function watchLifecycle(hooks) {
  const end = new AbortController();
  const { signal } = end;
  addEventListener("pagehide", () => hooks.leave(), { signal });
  addEventListener("pageshow", (event) => event.persisted && hooks.back(), { signal });
  addEventListener("online", () => hooks.wake(), { signal });
  document.addEventListener("freeze", () => hooks.freeze(), { signal });
  document.addEventListener("resume", () => hooks.resume(), { signal });
  const used = (/** @type {Event} */ event) => event.isTrusted && hooks.used();
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used, { signal, capture: true, passive: true });
  document.addEventListener("visibilitychange", () => hooks.seen(), { signal });
  return end;
}
