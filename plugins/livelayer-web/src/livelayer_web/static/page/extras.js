// @ts-check
/** What a page's script adds to its page context: cut to size, without what its fields hold. */

import { collapse, isPrivate, typedTexts } from "./privacy.js";
import { trimMessage } from "./trim.js";

/** @typedef {Record<string, unknown>} Extra a JSON object */
/** @typedef {Extra | (() => Extra | null | undefined) | null | undefined} Extras a function is asked for each context */

const BYTES = 1024; // as JSON, of the 4 KB of a context
const WORD = 4; // characters from which a text that contains what a field holds repeats it

/**
 * Guarantee: JSON of at most 1 KB, without functions and elements of the page. A text or number that
 * repeats what a person typed into a field, or what a private field holds, is left out with its name.
 *
 * @param {Extras} given
 * @returns {{extras: Extra | null, truncated: boolean}} null: there is nothing, or it is not a JSON object
 */
export function readExtras(given) {
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(JSON.stringify(typeof given === "function" ? given() : given) ?? "null");
  } catch (error) {
    reportError(error); // the page's own fault: the context goes without
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { extras: null, truncated: false };
  const held = heldTexts();
  const repeats = (/** @type {string} */ text) => {
    const lower = collapse(text).toLowerCase();
    return held.some((one) => lower === one || (one.length >= WORD && lower.includes(one)));
  };
  const { extras, truncated = false } = trimMessage({ type: "extras", extras: without(value, repeats) }, "extras", BYTES);
  return { extras: /** @type {Extra | null} */ (extras), truncated };
}

/** @returns {string[]} in lower case */
function heldTexts() {
  const guarded = [...document.querySelectorAll("input, select, output")].filter((field) => {
    const chosen = field instanceof HTMLSelectElement ? [...field.selectedOptions] : [];
    return isPrivate(field) || field instanceof HTMLOutputElement || chosen.some(isPrivate);
  });
  const texts = guarded.map((field) => collapse("value" in field ? String(field.value) : "").toLowerCase());
  return [...typedTexts(document), ...texts.filter((text) => text !== "")];
}

/**
 * @param {unknown} value
 * @param {(text: string) => boolean} left whether a text is left out
 * @returns {unknown} undefined: it is left out itself
 */
function without(value, left) {
  if (typeof value !== "object" || value === null) {
    const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
    return left(text) ? undefined : value;
  }
  if (Array.isArray(value)) return value.map((one) => without(one, left)).filter((one) => one !== undefined);
  const pairs = Object.entries(value).map(([name, one]) => [name, left(name) ? undefined : without(one, left)]);
  return Object.fromEntries(pairs.filter(([, one]) => one !== undefined));
}
