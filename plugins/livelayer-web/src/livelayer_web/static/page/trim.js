// @ts-check
/** Shortens a value until it fits into one packet: long strings first, then long lists. */

import { jsonBytes } from "../client/text.js";

/** @type {readonly [number, number][]} characters a text, entries a list or object */
const STEPS = [
  [4000, 200], [2000, 200], [1000, 100], [600, 60], [300, 40], [160, 25], [80, 15], [40, 8], [20, 4],
];
const DEPTH = 12;

/**
 * The message, with `context` cut and `truncated` set if it was too large.
 *
 * @template {{type: string, [member: string]: unknown}} T
 * @param {T} message
 * @param {string} member what may be cut
 * @param {number} limit bytes
 * @returns {T & {truncated?: true}}
 */
export function trimMessage(message, member, limit) {
  const whole = { ...message, [member]: cut(message[member], Infinity, Infinity, DEPTH) };
  if (jsonBytes(whole) <= limit) return whole;
  for (const [characters, entries] of STEPS) {
    const less = { ...message, [member]: cut(message[member], characters, entries, DEPTH), truncated: /** @type {true} */ (true) };
    if (jsonBytes(less) <= limit) return less;
  }
  return { ...message, [member]: Array.isArray(message[member]) ? [] : null, truncated: true };
}

/**
 * @param {unknown} value
 * @param {number} characters
 * @param {number} entries
 * @param {number} depth
 * @returns {unknown}
 */
function cut(value, characters, entries, depth) {
  if (typeof value === "string") return cutText(value, characters);
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") return null;
  if (typeof value !== "object" || value === null) return value ?? null;
  if (depth === 0) return null;
  if (value instanceof Date) return value.toJSON();
  if (Array.isArray(value)) return value.slice(0, entries).map((one) => cut(one, characters, entries, depth - 1));
  const pairs = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(pairs.slice(0, entries).map(([key, one]) => [key, cut(one, characters, entries, depth - 1)]));
}

/** @param {string} text @param {number} characters @returns {string} valid text of at most so many */
export function cutText(text, characters) {
  const short = text.length <= characters ? text : `${text.slice(0, characters - 1)}\u2026`;
  // A lone surrogate is not valid text elsewhere.
  return short.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "");
}
