// @ts-check
/** What the server's codes mean to a person; its own sentences are for engineers. */

/** @typedef {import("./strings.js").Key} Key */
/** @typedef {import("./strings.js").Translate} Translate */

/** @type {ReadonlyMap<string | undefined, Key>} */
const REFUSALS = new Map([
  ["expired", "refusedExpired"],
  ["replayed", "refusedReplayed"],
  ["token", "refusedToken"],
  ["revoked", "hintRevoked"],
  ["origin", "refusedOrigin"],
  ["host", "refusedHost"],
  ["grant", "refusedGrant"],
]);

/** @type {ReadonlyMap<string | undefined, Key>} */
const WAITS = new Map([
  ["full", "waitFull"],
  ["rate", "waitRate"],
  ["unmounted", "waitUnmounted"],
]);

/**
 * Why this page may not take part.
 *
 * @param {string | undefined} code
 * @param {Translate} t
 * @returns {string} a general sentence for a code that is not known
 */
export function refusal(code, t) {
  return t(REFUSALS.get(code) ?? "hintRefused");
}

/**
 * Why the server lets this page wait.
 *
 * @param {string | undefined} code
 * @param {Translate} t
 * @returns {string} empty where there is nothing to say but that it is tried again
 */
export function waiting(code, t) {
  const key = WAITS.get(code);
  return key === undefined ? "" : t(key);
}
