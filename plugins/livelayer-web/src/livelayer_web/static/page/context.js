// @ts-check
/** What a page shows, for an agent to read: never a password, a card, or what is hidden. */

import { fieldName, fieldsOf, formId, isOwn, isShown, labelOf } from "./elements.js";

const TEXT = 8000; // characters looked at
const HEADINGS = 60;
const FORMS = 12;
const FIELDS = 60; // in a form
const OPTIONS = 40; // of a field
const SKIPPED = "script, style, noscript, template, textarea, select, svg, canvas, iframe, [aria-hidden=true], [data-livelayer-private]";

/** @typedef {{name: string, label: string, type: string, required?: true, value?: string | boolean | string[], options?: string[]}} Field */
/** @typedef {{id: string, fields: Field[]}} Form */
/** @typedef {{title: string, path: string, url: string, language?: string, headings: {level: number, text: string}[], forms: Form[], text: string}} Context */

/** @returns {Context} */
export function pageContext() {
  return {
    title: document.title,
    path: location.pathname,
    url: `${location.origin}${location.pathname}`,
    ...(document.documentElement.lang ? { language: document.documentElement.lang } : {}),
    headings: headings(),
    forms: forms(),
    text: visibleText(),
  };
}

function headings() {
  const found = [];
  for (const heading of document.querySelectorAll("h1, h2, h3, h4, [role=heading]")) {
    if (isPrivate(heading) || !isShown(heading)) continue;
    const text = squeeze(heading.textContent ?? "");
    if (text === "") continue;
    const level = Number(heading.getAttribute("aria-level") ?? heading.tagName.slice(1));
    found.push({ level: Number.isFinite(level) ? level : 2, text });
    if (found.length === HEADINGS) break;
  }
  return found;
}

/** @returns {Form[]} */
function forms() {
  const found = [];
  for (const form of document.querySelectorAll("form, [data-livelayer-form]")) {
    if (!(form instanceof HTMLElement) || isPrivate(form)) continue;
    const fields = groups(fieldsOf(form).filter(isOpenToRead)).slice(0, FIELDS).map(describe);
    if (fields.length > 0) found.push({ id: formId(form), fields });
    if (found.length === FORMS) break;
  }
  return found;
}

/**
 * Radio buttons and checkboxes of one name are one field.
 *
 * @param {HTMLElement[]} fields
 * @returns {HTMLElement[][]}
 */
function groups(fields) {
  /** @type {Map<string, HTMLElement[]>} */
  const known = new Map();
  const result = [];
  for (const field of fields) {
    const name = fieldName(field);
    if (name === "") continue;
    const group = isChoice(field) ? known.get(name) : undefined;
    if (group !== undefined) {
      group.push(field);
      continue;
    }
    const own = [field];
    if (isChoice(field)) known.set(name, own);
    result.push(own);
  }
  return result;
}

/**
 * @param {HTMLElement} field
 * @returns {field is HTMLInputElement}
 */
function isChoice(field) {
  return field instanceof HTMLInputElement && ["radio", "checkbox"].includes(field.type);
}

/** @param {HTMLElement} field */
function isOpenToRead(field) {
  if (field instanceof HTMLButtonElement || field instanceof HTMLOutputElement || isPrivate(field)) return false;
  if (field instanceof HTMLInputElement && ["password", "hidden", "file", "submit", "button", "reset", "image"].includes(field.type)) {
    return false;
  }
  const words = (field.getAttribute("autocomplete") ?? "").toLowerCase().split(/\s+/);
  return !words.some((word) => word.startsWith("cc-") || word.endsWith("-password") || word === "one-time-code");
}

/**
 * @param {HTMLElement[]} group
 * @returns {Field}
 */
function describe(group) {
  const [field] = group;
  const required = field.matches(":required, [aria-required=true]") ? { required: /** @type {true} */ (true) } : {};
  const own = { name: fieldName(field), label: group.length > 1 ? legendOf(field) : labelOf(field) };
  if (isChoice(field)) {
    const boxes = /** @type {HTMLInputElement[]} */ (group);
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    if (field.type === "radio") return { ...own, type: "radio", ...required, value: chosen[0] ?? "", options: boxes.map((box) => box.value) };
    if (boxes.length === 1) return { ...own, type: "checkbox", ...required, value: field.checked };
    return { ...own, type: "checkboxes", ...required, value: chosen, options: boxes.map((box) => box.value) };
  }
  if (field instanceof HTMLSelectElement) {
    const options = [...field.options].slice(0, OPTIONS).map((option) => option.label || option.value);
    const chosen = [...field.selectedOptions].map((option) => option.label || option.value);
    return { ...own, type: "select", ...required, value: field.multiple ? chosen : (chosen[0] ?? ""), options };
  }
  const value = "value" in field ? String(field.value) : squeeze(field.textContent ?? "");
  const type = "type" in field ? String(field.type) : "text";
  return { ...own, type, ...required, value };
}

/** @param {HTMLElement} field */
function legendOf(field) {
  const group = field.closest("fieldset, [role=radiogroup], [role=group]");
  return squeeze(group?.querySelector("legend")?.textContent ?? group?.getAttribute("aria-label") ?? "");
}

function visibleText() {
  const root = document.querySelector("main, [role=main]") ?? document.body;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
    if (!(node instanceof Element)) return NodeFilter.FILTER_ACCEPT;
    const skipped = node.matches(SKIPPED) || isOwn(node) || node.matches("[contenteditable]:not([contenteditable=false])");
    return skipped || !(node.checkVisibility?.({ visibilityProperty: true }) ?? true) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP;
  });
  let text = "";
  while (text.length < TEXT && walker.nextNode()) {
    const piece = squeeze(walker.currentNode.nodeValue ?? "");
    if (piece !== "") text += text === "" ? piece : ` ${piece}`;
  }
  return text.slice(0, TEXT);
}

/** @param {Element} element */
function isPrivate(element) {
  return isOwn(element) || element.closest("[data-livelayer-private]") !== null;
}

/** @param {string} text */
function squeeze(text) {
  return text.replace(/\s+/g, " ").trim();
}
