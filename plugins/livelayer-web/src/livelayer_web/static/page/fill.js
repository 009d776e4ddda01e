// @ts-check
/** Fills fields so that a page's framework notices, as if a person had typed. */

import { labelOf } from "./elements.js";
import { isPrivate } from "./privacy.js";

const NO = new Set(["", "false", "0", "off", "no", "unchecked"]);
const YES = new Set(["true", "1", "on", "yes", "checked"]);

/**
 * Fills one field, or a group of radio buttons or checkboxes that share a name.
 *
 * @param {HTMLElement[]} fields
 * @param {string} value several are separated by commas
 * @returns {boolean} whether the field has the value now
 */
export function fill(fields, value) {
  const open = fields.filter(isOpen);
  if (open.length === 0) return false;
  const [field] = open;
  if (field instanceof HTMLInputElement && field.type === "radio") return choose(radios(open), value);
  if (field instanceof HTMLInputElement && field.type === "checkbox") return check(boxes(open), value);
  if (field instanceof HTMLSelectElement) return select(field, value);
  return type(field, value);
}

/**
 * Whether an agent may change a field: it is neither private nor disabled nor a button.
 *
 * @param {HTMLElement} field
 */
function isOpen(field) {
  if (isPrivate(field)) return false;
  if (field.matches(":disabled, [aria-disabled=true], [readonly], [aria-readonly=true]")) return false;
  const kind = field instanceof HTMLInputElement || field instanceof HTMLButtonElement ? field.type : "";
  return !["submit", "button", "reset", "image"].includes(kind);
}

/** @param {HTMLElement[]} fields */
function radios(fields) {
  return fields.filter(/** @returns {one is HTMLInputElement} */ (one) => one instanceof HTMLInputElement && one.type === "radio");
}

/** @param {HTMLElement[]} fields */
function boxes(fields) {
  return fields.filter(/** @returns {one is HTMLInputElement} */ (one) => one instanceof HTMLInputElement && one.type === "checkbox");
}

/** @param {HTMLInputElement[]} options @param {string} value */
function choose(options, value) {
  const option = options.find((one) => one.value === value) ?? options.find((one) => alike(labelOf(one), value));
  if (option === undefined) return false;
  if (!option.checked) option.click();
  return option.checked;
}

/** @param {HTMLInputElement[]} options @param {string} value */
function check(options, value) {
  if (options.length === 1) {
    const [box] = options;
    const word = value.trim().toLowerCase();
    const on = YES.has(word) || alike(labelOf(box), value);
    if (!on && !NO.has(word)) return false;
    if (box.checked !== on) box.click();
    return box.checked === on;
  }
  const wanted = parts(value);
  const chosen = options.filter((box) => wanted.some((one) => one === box.value || alike(labelOf(box), one)));
  if (chosen.length < wanted.length) return false;
  for (const box of options) if (box.checked !== chosen.includes(box)) box.click();
  return options.every((box) => box.checked === chosen.includes(box));
}

/** @param {HTMLSelectElement} field @param {string} value */
function select(field, value) {
  const options = [...field.options].filter((one) => !one.disabled && !isPrivate(one));
  /** @param {string} wanted */
  const find = (wanted) => options.find((one) => one.value === wanted) ?? options.find((one) => alike(one.label, wanted));
  if (field.multiple) {
    const chosen = parts(value).map(find);
    if (chosen.includes(undefined)) return false;
    for (const option of options) option.selected = chosen.includes(option);
  } else {
    const option = find(value);
    if (option === undefined) return false;
    assign(field, HTMLSelectElement.prototype, option.value);
    option.selected = true; // two options may share a value
  }
  notify(field);
  return true;
}

/** @param {HTMLElement} field @param {string} value */
function type(field, value) {
  if (field instanceof HTMLTextAreaElement) assign(field, HTMLTextAreaElement.prototype, value);
  else if (field instanceof HTMLInputElement) assign(field, HTMLInputElement.prototype, value);
  else if (field.isContentEditable) field.textContent = value;
  else if ("value" in field) field.value = value;
  else return false;
  notify(field, value);
  // A date or number field clears a value that is not valid.
  return !("value" in field) || value === "" || field.value !== "";
}

/**
 * Bypasses a framework's own property, which would hide the change from the framework.
 *
 * @param {HTMLElement} field
 * @param {object} prototype
 * @param {string} value
 */
function assign(field, prototype, value) {
  Object.getOwnPropertyDescriptor(prototype, "value")?.set?.call(field, value);
}

/** @param {HTMLElement} field @param {string | null} [data] */
function notify(field, data = null) {
  const options = { bubbles: true, composed: true, inputType: "insertReplacementText", data };
  field.dispatchEvent(new InputEvent("input", options));
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

/** @param {string} value */
function parts(value) {
  return value.split(",").map((one) => one.trim()).filter(Boolean);
}

/** @param {string} label @param {string} value */
function alike(label, value) {
  const plain = (/** @type {string} */ text) => text.replace(/\s+/g, " ").trim().toLowerCase();
  return plain(label) !== "" && plain(label) === plain(value);
}
