// @ts-check
/** Finds the elements that an agent names, except what is private or belongs to the widget. */

import { isVisible } from "../client/older.js";
import { collapse, isDescribed, isPrivate, isWritten, publicText } from "./privacy.js";

/** A selector, or the name of a form or field, that cannot be used. */
export class InvalidTarget extends Error {}

/**
 * The first element on display that a selector names.
 *
 * Every element that a part of the selector matches is outside of private parts and fields, and
 * outside of what a person writes. So the answer never depends on what is in them.
 *
 * @param {unknown} selector
 * @returns {HTMLElement | null}
 * @throws {InvalidTarget} it is not a selector that an agent may use
 */
export function find(selector) {
  const text = typeof selector === "string" ? selector.trim() : "";
  const paths = parse(text);
  if (paths === null) throw new InvalidTarget("selector");
  let found;
  try {
    found = [...document.querySelectorAll(text)];
  } catch {
    throw new InvalidTarget("selector");
  }
  const named = paths.map(resolve);
  return /** @type {HTMLElement | undefined} */ (
    found.find((one) => (one instanceof HTMLElement || one instanceof SVGElement) && isShown(one) && named.some((set) => set.has(one)))
  ) ?? null;
}

/** @param {Element} element @returns {boolean} whether it is laid out and not hidden */
export function isShown(element) {
  if (element.getClientRects().length === 0) return false;
  return isVisible(element);
}

/**
 * Forms, and elements that the author marked as one around fields without a form.
 *
 * @returns {HTMLElement[]}
 */
export function findForms() {
  const found = document.querySelectorAll("form, [data-ll-form], [data-livelayer-form]");
  return /** @type {HTMLElement[]} */ ([...found].filter((one) => one instanceof HTMLElement && !isPrivate(one)));
}

/**
 * A form by its mark (`data-ll-form`), its id or its name, in this order.
 *
 * @param {unknown} id
 * @returns {HTMLElement | null}
 * @throws {InvalidTarget} it is not a non-empty string
 */
export function findForm(id) {
  const wanted = Number.isInteger(id) ? String(id) : id;
  if (typeof wanted !== "string" || wanted === "") throw new InvalidTarget("form id");
  return byName(findForms(), FORM_NAMES, wanted)[0] ?? null;
}

/** @param {HTMLElement} form @returns {string} the first of its names, or "" */
export function formId(form) {
  return firstName(form, FORM_NAMES);
}

/**
 * The form of a field: the element around it that is marked as one, else its form.
 *
 * @param {HTMLElement} field
 * @returns {HTMLElement | null} null: it has none, or a private one
 */
export function formOf(field) {
  const marked = /** @type {HTMLElement | null} */ (field.closest("[data-ll-form], [data-livelayer-form]"));
  const form = marked ?? ("form" in field && field.form instanceof HTMLFormElement ? field.form : field.closest("form"));
  return form === null || isPrivate(form) ? null : form;
}

/**
 * The value of an author's mark.
 *
 * @param {Element} element
 * @param {"form" | "field" | "region" | "intent"} name of `data-ll-<name>`, or `data-livelayer-<name>`
 * @returns {string | null}
 */
export function mark(element, name) {
  return element.getAttribute(`data-ll-${name}`) ?? element.getAttribute(`data-livelayer-${name}`);
}

/** @typedef {(element: Element) => string | null} NameOf */

/** @type {NameOf} */
const id = (element) => element.getAttribute("id");
/** @type {NameOf} */
const name = (element) => element.getAttribute("name");
/** @type {readonly NameOf[]} */
const FORM_NAMES = [(element) => mark(element, "form"), id, name];
/** @type {readonly NameOf[]} */
const FIELD_NAMES = [(element) => mark(element, "field"), name, id];

/** @param {Element} element @param {readonly NameOf[]} names */
function firstName(element, names) {
  for (const of of names) if (of(element)) return /** @type {string} */ (of(element));
  return "";
}

/** @param {HTMLElement[]} elements @param {readonly NameOf[]} names @param {string} wanted */
function byName(elements, names, wanted) {
  for (const of of names) {
    const found = elements.filter((one) => of(one) === wanted);
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * The fields of a form that are not private, in its order: controls, and elements that can be
 * edited in place.
 *
 * @param {HTMLElement} form
 * @returns {HTMLElement[]}
 */
export function fieldsOf(form) {
  const controls =
    form instanceof HTMLFormElement
      ? [...form.elements]
      : [...form.querySelectorAll("input, select, textarea, button")];
  const editable = [...form.querySelectorAll("[contenteditable]:not([contenteditable=false])")];
  return [...controls, ...editable].filter(
    /** @returns {one is HTMLElement} */ (one) =>
      one instanceof HTMLElement && !(one instanceof HTMLFieldSetElement) && !isPrivate(one),
  );
}

/**
 * @param {HTMLElement} field
 * @returns {string} its mark (`data-ll-field`), else its name, else its id
 */
export function fieldName(field) {
  return firstName(field, FIELD_NAMES);
}

/**
 * The fields of that name: one, or the members of a group.
 *
 * @param {HTMLElement} form
 * @param {string} wanted
 * @returns {HTMLElement[]}
 */
export function fieldsNamed(form, wanted) {
  return byName(fieldsOf(form), FIELD_NAMES, wanted);
}

/** @param {HTMLElement} field @returns {string} what names it for a person */
export function labelOf(field) {
  const named = (field.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((one) => document.getElementById(one));
  const labels = "labels" in field ? /** @type {NodeListOf<HTMLLabelElement> | null} */ (field.labels) : null;
  return (
    named.map((one) => (one === null ? "" : publicText(one))).filter(Boolean).join(" ") ||
    collapse(field.getAttribute("aria-label") ?? "") ||
    [...(labels ?? [])].map((label) => publicText(label)).find(Boolean) ||
    collapse(field.getAttribute("placeholder") ?? "") ||
    (field instanceof HTMLButtonElement ? publicText(field) : "")
  );
}

/* The selectors that an agent may use: none that could read the value of a field. */

/** @typedef {{combinator: string, compound: string, texts: string[]}} Step `texts`: attributes with text that it compares */

const NAME = String.raw`(?:[\w\u0080-\uffff-]|\\[0-9a-f]{1,6}\s?|\\[^0-9a-f\s])+`;
const VALUE = String.raw`\s*(?:"[^"\\]*"|'[^'\\]*'|[\w-]+)\s*[is]?\s*`;
const STRUCTURE = "id|class|name|for|type|role|data-testid|data-(?:ll|livelayer)-[a-z-]+";
const TEXT = "href|title|alt|aria-label";
const POSITION = String.raw`:(?:first|last|only)-(?:child|of-type)|:nth-(?:last-)?(?:child|of-type)\([\dnevod+\s-]+\)`;
const TOKEN = new RegExp(
  [
    String.raw`(?<comma>\s*,\s*)`,
    String.raw`(?<combinator>\s*[>+~]\s*|\s+)`,
    String.raw`\[\s*(?<text>${TEXT})\s*(?:[~|^$*]?=${VALUE})?\]`,
    // A part of such a value cannot be compared: it would be read letter by letter.
    String.raw`\*|[a-z][\w-]*|[#.]${NAME}|\[\s*(?:${STRUCTURE})\s*(?:~?=${VALUE})?\]|${POSITION}`,
  ].join("|"),
  "iy",
);

/**
 * The steps of each selector in a list, if they consist of element names, ids, classes, positions,
 * and a few attributes that hold no value of a field. Attributes with text (`href`, `title`, `alt`,
 * `aria-label`) may only describe the element that is selected, and none that stands near it.
 *
 * Without this rule an agent could find out a value letter by letter (`[value^=a]`, `:checked`).
 *
 * @param {string} selector
 * @returns {Step[][] | null} null: it is empty, or consists of something else
 */
function parse(selector) {
  /** @type {Step} */
  let step = { combinator: "", compound: "", texts: [] };
  const paths = [[step]];
  for (let at = 0; at < selector.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(selector);
    const groups = match?.groups;
    if (match === null || groups === undefined) return null;
    if (groups.comma === undefined && groups.combinator === undefined) {
      step.compound += match[0];
      if (groups.text !== undefined) step.texts.push(groups.text.toLowerCase());
      continue;
    }
    if (step.compound === "" || (step.texts.length > 0 && groups.comma === undefined)) return null;
    step = { combinator: groups.combinator?.trim() ?? "", compound: "", texts: [] };
    if (groups.comma === undefined) paths[paths.length - 1].push(step);
    else paths.push([step]);
  }
  return step.compound === "" ? null : paths;
}

/**
 * The elements that a path leads to, over elements that an agent may know of.
 *
 * @param {Step[]} path
 * @returns {Set<Element>}
 */
function resolve(path) {
  /** @type {Set<Element> | null} */
  let reached = null;
  for (const { combinator, compound, texts } of path) {
    const before = /** @type {Set<Element> | null} */ (reached);
    const found = [...document.querySelectorAll(compound)].filter(
      (one) => !isPrivate(one) && !isWritten(one) && (texts.length === 0 || isDescribed(one, texts)),
    );
    reached = new Set(before === null ? found : found.filter((one) => follows(one, combinator, before)));
  }
  return reached ?? new Set();
}

/** @param {Element} element @param {string} combinator @param {Set<Element>} before */
function follows(element, combinator, before) {
  const next = combinator === "" || combinator === ">" ? "parentElement" : "previousElementSibling";
  for (let one = element[next]; one !== null; one = one[next]) {
    if (before.has(one)) return true;
    if (combinator === ">" || combinator === "+") return false;
  }
  return false;
}
