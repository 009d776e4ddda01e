// @ts-check
/** Length and order of strings as in Python: by code points, not by UTF-16 units. */

/** @param {string} text @returns {number} code points */
export function length(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * @param {string} one
 * @param {string} two
 * @returns {number} negative, zero or positive, as `one` sorts before, with or after `two`
 */
export function compare(one, two) {
  const end = Math.min(one.length, two.length);
  let index = 0;
  while (index < end && one.charCodeAt(index) === two.charCodeAt(index)) index += 1;
  if (index === end) return one.length - two.length;
  return rank(one.charCodeAt(index)) - rank(two.charCodeAt(index));
}

/** Surrogates encode code points above U+FFFF. @param {number} unit */
function rank(unit) {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/**
 * The bytes that a value takes as JSON in UTF-8.
 *
 * @param {unknown} value
 * @returns {number}
 */
export function jsonBytes(value) {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
