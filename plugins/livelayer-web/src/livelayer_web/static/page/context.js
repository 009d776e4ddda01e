// @ts-check
/** The description of a page that an agent reads: what a person sees, and never a field's value. */

import { parseUrl } from "../client/older.js";
import { jsonBytes } from "../client/text.js";
import { fieldName, fieldsOf, findForms, formId, formOf, isShown, labelOf, mark } from "./elements.js";
import { readExtras } from "./extras.js";
import { flow } from "./flow.js";
import { collapse, isPrivate, publicText, typedTexts, withoutValue } from "./privacy.js";

const BYTES = 4096; // of a context as JSON; what exceeds it is cut
const TEXT = 4000; // characters of the page's text
const REGION = 600; // characters of a region's text
const REGIONS = 20;
const LINKS = 20;
const FIELDS = 40; // visible ones, and those of a form
const FORMS = 12;
const OPTIONS = 20; // of a field
const PROBLEM_FIELDS = 20; // that are named

/** @import { Extra, Extras } from "./extras.js" */
/** @import { Flow } from "./flow.js" */
/** @typedef {{value: string, label: string}} Option */
/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} type
 * @property {true} [required]
 * @property {string} [placeholder]
 * @property {number} [minLength]
 * @property {number} [maxLength]
 * @property {string} [min]
 * @property {string} [max]
 * @property {string} [step]
 * @property {string} [pattern]
 * @property {string} [autocomplete]
 * @property {Option[]} [options]
 * @property {string} [placeholderOption] the label of the option that stands for none
 * @property {true} [hasEmptyOption]
 * @property {string} [validationMessage]
 */
/**
 * @typedef {object} Context
 * @property {string} url without query and fragment, where secrets and values may be
 * @property {string} title
 * @property {string} pathname
 * @property {{id: string, intent?: string, text: string}[]} regions
 * @property {string} visibleText
 * @property {{href: string, text: string}[]} visibleLinks
 * @property {{label: string, type: string}[]} visibleFields
 * @property {{id: string, intent?: string, fields: Field[]}[]} forms
 * @property {Flow} [flow]
 * @property {Extra} [extras] what the page's script adds
 */

/**
 * Guarantee: nothing of it comes from a private part, a private field, the widget or the value of
 * any field. Where it is too long, `visibleFields`, then `visibleLinks`, then `visibleText` are cut.
 *
 * @param {Extras} [given] what the page's script adds
 * @returns {{context: Context, truncated: boolean}}
 */
export function pageContext(given) {
  const steps = flow();
  const { extras, truncated } = readExtras(given);
  const context = {
    url: `${location.origin}${location.pathname}`,
    title: document.title,
    pathname: location.pathname,
    regions: regions(),
    visibleText: visibleText(),
    visibleLinks: visibleLinks(),
    visibleFields: visibleFields(),
    forms: forms(),
    ...(steps === null ? {} : { flow: steps }),
    ...(extras === null ? {} : { extras }),
  };
  return { context, truncated: shorten(context) || truncated };
}

/** @param {Context} context @returns {boolean} whether something was cut */
function shorten(context) {
  const excess = () => jsonBytes(context) - BYTES;
  if (excess() <= 0) return false;
  for (const list of [context.visibleFields, context.visibleLinks]) {
    while (list.length > 0 && excess() > 0) list.length -= 1;
  }
  // A character takes a byte or more.
  while (context.visibleText !== "" && excess() > 0) context.visibleText = context.visibleText.slice(0, -excess());
  return true;
}

function regions() {
  const found = [];
  for (const region of document.querySelectorAll("[data-ll-region], [data-livelayer-region]")) {
    const id = mark(region, "region");
    if (id && !isPrivate(region)) found.push({ id, ...intentOf(region), text: publicText(region, REGION) });
  }
  return found.slice(0, REGIONS);
}

/** @param {Element} element */
function intentOf(element) {
  const intent = mark(element, "intent");
  return intent ? { intent } : {};
}

function visibleText() {
  return publicText(document.querySelector("main, [role=main]") ?? document.body, TEXT);
}

function visibleLinks() {
  const found = [];
  for (const link of document.querySelectorAll("a[href]")) {
    if (isPrivate(link) || !isShown(link)) continue;
    const { href } = /** @type {HTMLAnchorElement} */ (link);
    const url = parseUrl(href);
    const text = publicText(link, 80) || collapse(link.getAttribute("aria-label") ?? "");
    if (url === null || text === "" || !/^https?:$/.test(url.protocol) || url.username !== "") continue;
    found.push({ href: hrefOf(url), text });
    if (found.length === LINKS) break;
  }
  return found;
}

/** @param {URL} url @returns {string} what `navigate` takes; a link within this page does not repeat its query */
function hrefOf(url) {
  if (url.origin !== location.origin) return url.href;
  const within = url.pathname === location.pathname && url.search === location.search;
  return within ? url.hash || url.pathname : `${url.pathname}${url.search}${url.hash}`;
}

function visibleFields() {
  const found = fieldsOf(document.body).filter((field) => isDescribed(field) && isShown(field));
  return groups(found).slice(0, FIELDS).map(([field, ...more]) => ({ label: nameOf(field, more), type: typeOf(field) }));
}

function forms() {
  const found = [];
  for (const form of findForms()) {
    const fields = groups(fieldsOf(form).filter((field) => isDescribed(field) && fieldName(field) !== ""));
    if (fields.length === 0) continue;
    found.push({ id: formId(form), ...intentOf(form), fields: fields.slice(0, FIELDS).map(describe) });
    if (found.length === FORMS) break;
  }
  return found;
}

/** @param {HTMLElement} field */
export function isDescribed(field) {
  return !(field instanceof HTMLOutputElement || field.matches("button, object, input:is([type=submit], [type=button], [type=reset], [type=image])"));
}

/**
 * Radio buttons, and checkboxes, of one name and form are one field.
 *
 * @param {HTMLElement[]} fields
 * @returns {HTMLElement[][]}
 */
export function groups(fields) {
  /** @type {HTMLElement[][]} */
  const result = [];
  for (const field of fields) {
    const group = isChoice(field) && fieldName(field) !== "" ? result.find(([one]) => isAlike(one, field)) : undefined;
    if (group !== undefined) group.push(field);
    else result.push([field]);
  }
  return result;
}

/** @param {HTMLElement} one @param {HTMLInputElement} choice */
function isAlike(one, choice) {
  return isChoice(one) && one.type === choice.type && fieldName(one) === fieldName(choice) && formOf(one) === formOf(choice);
}

/** @param {HTMLElement} field @returns {field is HTMLInputElement} */
export function isChoice(field) {
  return field instanceof HTMLInputElement && ["radio", "checkbox"].includes(field.type);
}

/** @param {HTMLElement[]} group @returns {Field} */
function describe([field, ...more]) {
  /** @type {Field} */
  const described = { name: fieldName(field), label: nameOf(field, more), type: typeOf(field) };
  if (field.matches(":required, [aria-required=true]")) described.required = true;
  for (const name of /** @type {const} */ (["placeholder", "min", "max", "step", "pattern", "autocomplete"])) {
    const value = withoutValue(field.getAttribute(name) ?? "", field);
    if (value) described[name] = value;
  }
  for (const name of /** @type {const} */ (["minLength", "maxLength"])) {
    const value = Number.parseInt(field.getAttribute(name) ?? "", 10);
    if (value >= 0) described[name] = value;
  }
  Object.assign(described, optionsOf([field, ...more]));
  const problem = problemOf(field);
  if (problem !== null) described.validationMessage = problem;
  return described;
}

/**
 * @param {HTMLElement[]} group
 * @returns {Pick<Field, "options" | "placeholderOption" | "hasEmptyOption">}
 */
export function optionsOf([field, ...more]) {
  if (isChoice(field) && (more.length > 0 || field.type === "radio")) {
    const boxes = /** @type {HTMLInputElement[]} */ ([field, ...more]);
    return { options: boxes.slice(0, OPTIONS).map((box) => ({ value: box.value, label: labelOf(box) })) };
  }
  if (!(field instanceof HTMLSelectElement)) return {};
  const open = [...field.options].filter((option) => !isPrivate(option));
  const empty = open.find((option) => option.value === "");
  const options = open.filter((option) => option !== empty).slice(0, OPTIONS).map(({ value, label }) => ({ value, label }));
  if (empty === undefined) return { options };
  return { options, ...(empty.label ? { placeholderOption: empty.label } : {}), hasEmptyOption: true };
}

/** @param {HTMLElement} field */
function typeOf(field) {
  if (field instanceof HTMLSelectElement) return "select";
  return "type" in field ? String(field.type) : "text";
}

/** @param {HTMLElement} field @param {HTMLElement[]} more the others of its group */
export function nameOf(field, more) {
  if (more.length === 0) return withoutValue(labelOf(field), field);
  const group = field.closest("fieldset, [role=radiogroup], [role=group]");
  const legend = group?.querySelector("legend");
  return (legend && publicText(legend)) || collapse(group?.getAttribute("aria-label") ?? "");
}

/** @type {readonly (readonly [keyof ValidityState, string])[]} */
const PROBLEMS = [
  ["valueMissing", "is required"],
  ["badInput", "is not valid for its type"],
  ["typeMismatch", "is not valid for its type"],
  ["patternMismatch", "does not match its pattern"],
  ["tooShort", "is shorter than minLength"],
  ["tooLong", "is longer than maxLength"],
  ["rangeUnderflow", "is less than min"],
  ["rangeOverflow", "is more than max"],
  ["stepMismatch", "does not fit its step"],
  ["customError", "was not accepted by the page"],
];

/**
 * Why a field is not valid. The browser's own messages quote the value, and a page's may.
 *
 * @param {HTMLElement} field
 * @returns {string | null}
 */
function problemOf(field) {
  const validity = "validity" in field ? /** @type {ValidityState} */ (field.validity) : null;
  const problem = PROBLEMS.find(([name]) => validity?.[name]);
  if (problem !== undefined) return problem[1];
  return field.matches("[aria-invalid=true]") ? "was not accepted by the page" : null;
}

/**
 * The fields of a form that are not valid, each as "Label: what is wrong"; private ones are left out.
 * A message of the page (`aria-errormessage`, or `aria-describedby`) is quoted unless it repeats what
 * a field of the form holds.
 *
 * @param {HTMLElement} form
 * @returns {string[]}
 */
export function invalidFields(form) {
  const held = typedTexts(form);
  const tells = (/** @type {string} */ text) => held.some((value) => text.toLowerCase().includes(value));
  const found = [];
  for (const group of groups(fieldsOf(form).filter(isDescribed))) {
    const wrong = group.find((field) => problemOf(field) !== null);
    if (wrong === undefined) continue;
    const ids = wrong.getAttribute("aria-errormessage") ?? wrong.getAttribute("aria-describedby") ?? "";
    const elements = wrong.matches("[aria-invalid=true]") ? ids.split(/\s+/).map((id) => document.getElementById(id)) : [];
    const own = elements.map((one) => (one === null || isPrivate(one) ? "" : publicText(one))).find(Boolean);
    const label = [nameOf(group[0], group.slice(1)), fieldName(wrong)].find((one) => one !== "" && !tells(one)) ?? "A field";
    found.push(`${label}: ${own && !tells(own) ? own : problemOf(wrong)}`);
  }
  return found.slice(0, PROBLEM_FIELDS);
}
