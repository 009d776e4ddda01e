// @ts-check
/** The options of a surface that are plain attributes: how each is read, and the property that it is. */

/** @import { Place } from "./preferences.js" */
/** @typedef {{row: "top" | "bottom", side: "start" | "end" | "left" | "right"}} Position a corner */

const BREAKPOINT = 640; // px of the window's width

const NO = ["false", "0", "off", "no", "none"];

/** @param {string | null} value of an attribute */
const isNo = (value) => NO.includes(value?.trim().toLowerCase() ?? "");
/** On unless the attribute says no. @param {string | null} value */
const on = (value) => !isNo(value);
/** Off unless the attribute is there and does not say no. @param {string | null} value */
export const isSet = (value) => value !== null && !isNo(value);
/** @param {string | null} value */
const text = (value) => value ?? "";

const MOST = 3; // suggestions: more would be a menu

/** A JSON array of texts, or texts separated by `|`. @param {string | null} value @returns {readonly string[]} */
function list(value) {
  /** @type {unknown} */
  let given = value?.split("|") ?? [];
  try {
    if (value?.trimStart().startsWith("[")) given = JSON.parse(value);
  } catch {
    // Not JSON: texts that begin with a bracket.
  }
  const texts = Array.isArray(given) ? given.filter((one) => typeof one === "string") : [];
  return texts.map((one) => one.trim()).filter(Boolean).slice(0, MOST);
}

/** Each has a property of its name in camel case. */
export const OPTIONS = {
  "allow-mic": on,
  "allow-camera": on,
  "allow-screen-share": on,
  "allow-typing": on,
  "show-minimize": on,
  "show-close": on,
  resizable: on,
  position: corner,
  "mobile-breakpoint": breakpoint,
  contained: isSet,
  chromeless: isSet,
  "compact-controls": isSet,
  greeting: text,
  suggestions: list,
  "agent-name": text,
  "avatar-image-url": text,
  "idle-loop-url": text,
  "blur-until-first-speech": isSet,
  transforming: isSet,
  "transforming-label": text,
  sounds: isSet,
  "event-log": isSet,
};

/**
 * @template {string} S
 * @typedef {S extends `${infer A}-${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S} Camel
 */
/** @typedef {{[Name in keyof typeof OPTIONS as Camel<Name>]: ReturnType<(typeof OPTIONS)[Name]>}} SurfaceOptions */

/** @param {Element} element @returns {SurfaceOptions} */
export function readOptions(element) {
  const entries = Object.entries(OPTIONS).map(([name, read]) => [camel(name), read(element.getAttribute(name))]);
  return Object.fromEntries(entries);
}

/**
 * Defines the properties: each sets its attribute, and is what the attribute says.
 *
 * @param {CustomElementConstructor} element
 */
export function defineOptions({ prototype }) {
  for (const [name, read] of Object.entries(OPTIONS)) {
    const plain = typeof read(null) === "object" ? text : read;
    Object.defineProperty(prototype, camel(name), {
      configurable: true,
      enumerable: true,
      /** @this {Element} */
      get() {
        return plain(this.getAttribute(name));
      },
      /** @this {Element} @param {unknown} value */
      set(value) {
        if (value === null || value === undefined || value === read(null)) this.removeAttribute(name);
        else if (Array.isArray(value)) this.setAttribute(name, JSON.stringify(value));
        else this.setAttribute(name, value === true ? "" : String(value));
      },
    });
  }
}

/** @param {string} name of an attribute */
export function camel(name) {
  return name.replaceAll(/-([a-z])/g, (_, letter) => letter.toUpperCase());
}

/**
 * Where a corner is: `start` and `end` follow the direction of the text, `left` and `right` do not.
 *
 * @param {Position} position
 * @param {boolean} rtl
 * @returns {Place}
 */
export function placeOf({ row, side }, rtl) {
  const end = side === "end" || side === (rtl ? "left" : "right");
  return { side: end ? "end" : "start", at: row === "top" ? 0 : 1 };
}

/** @param {string | null} value @returns {Position} */
function corner(value) {
  const found = /^(top|bottom)-(start|end|left|right)$/.exec(value ?? "");
  return /** @type {Position} */ (found ? { row: found[1], side: found[2] } : { row: "bottom", side: "end" });
}

/** @param {string | null} value @returns {number} px; 0: no window is that small */
function breakpoint(value) {
  if (isNo(value)) return 0;
  const width = Number.parseInt(value ?? "", 10);
  return width >= 0 ? width : BREAKPOINT;
}
