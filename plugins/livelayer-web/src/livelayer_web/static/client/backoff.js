// @ts-check
/** Waits longer after each failure, with jitter, so that many pages do not come back at once. */

const FIRST = 0.25; // seconds
const LAST = 5; // seconds

export class Backoff {
  #failures = 0;

  /** @returns {number} seconds to wait before the next attempt */
  next() {
    const most = Math.min(LAST, FIRST * 2 ** this.#failures);
    this.#failures += 1;
    return most * (0.5 + Math.random() / 2);
  }

  /** Nothing failed since the last success. */
  get unused() {
    return this.#failures === 0;
  }

  reset() {
    this.#failures = 0;
  }
}

/**
 * Waits, unless a signal ends the wait.
 *
 * @param {number} seconds
 * @param {...AbortSignal} signals each ends the wait early
 * @returns {Promise<void>}
 */
export function pause(seconds, ...signals) {
  return new Promise((resolve) => {
    if (signals.some(({ aborted }) => aborted)) return resolve();
    const timer = setTimeout(done, seconds * 1000);
    function done() {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    }
    for (const signal of signals) signal.addEventListener("abort", done);
  });
}
