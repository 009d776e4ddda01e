// @ts-check
/** What the participant attribute `agent.context` says of this page: its step, and its fields with their values. */

import { jsonBytes } from "../client/text.js";
import { groups, isChoice, isDescribed, nameOf, optionsOf } from "./context.js";
import { fieldName, fieldsOf, find, formId, formOf, isShown, mark } from "./elements.js";
import { flow } from "./flow.js";
import { collapse, isMarkedPrivate, isPrivate, publicText, withoutValue } from "./privacy.js";
import { cutText } from "./trim.js";

export const BYTES = 16_000; // of the context as JSON
const FIELDS = 100;
const TITLE = 200; // characters, as of a label
const DESCRIPTION = 300; // characters
const VALUE = 1000; // characters of a text, and of a list's entries together
const OPTIONS = 20;
export const KINDS = [
  "text", "long_text", "email", "phone", "url", "select", "multi_select", "number", "currency", "date", "time", "boolean",
];
/** @type {Record<string, string>} */
const KIND_OF_TYPE = { email: "email", tel: "phone", url: "url", number: "number", range: "number", date: "date", time: "time" };
const ACTIONS = /** @type {const} */ ([["advance", "advance_step"], ["back", "go_back"], ["submit", "submit_flow"]]);
const REGION = "[data-ll-region], [data-livelayer-region]";

/** @typedef {string | number | boolean | string[]} FieldValue */
/**
 * @typedef {object} ContextField
 * @property {string} id the name by which its form knows it, else its label
 * @property {string} label
 * @property {string} kind one of `KINDS`
 * @property {FieldValue} [value]
 * @property {boolean} required
 * @property {string} [description]
 * @property {({value: string, label: string} | string)[]} [options]
 * @property {string} [selector]
 * @property {string} [formId]
 * @property {string} [region] the nearest author's mark around it
 * @property {string} [intent] its own, or its form's
 */
/** @typedef {Partial<ContextField> & {id: string}} RegisteredField what the application says of a field */
/**
 * @typedef {object} AgentContext
 * @property {string} route
 * @property {number} [step] from 1
 * @property {string} [stepLabel]
 * @property {string} title
 * @property {string[]} availableActions commands that its controls serve now
 * @property {ContextField[]} elements
 * @property {true} [truncated]
 */

/**
 * Guarantee: no private part, private field or widget is in it, whatever is registered. A registered
 * field comes first, and takes what it leaves open from the field of the page that it names.
 *
 * @param {readonly RegisteredField[]} registered
 * @param {boolean} values whether the values of the page's fields are in it
 * @returns {AgentContext}
 */
export function agentContext(registered, values) {
  const steps = flow();
  const context = {
    route: location.pathname.slice(0, DESCRIPTION),
    ...(steps?.currentStep === undefined ? {} : { step: steps.currentStep }),
    ...(steps?.stepLabel ? { stepLabel: cutText(steps.stepLabel, TITLE) } : {}),
    title: cutText(document.title, TITLE),
    availableActions: ACTIONS.flatMap(([role, command]) => (steps?.[role] === undefined ? [] : [command])),
    elements: elements(registered, values),
  };
  return shorten(context);
}

/** @param {AgentContext} context */
function shorten(context) {
  const tooLong = () => jsonBytes(context) > BYTES;
  for (const member of /** @type {const} */ (["description", "options"])) {
    if (!tooLong()) return context;
    for (const field of context.elements) delete field[member];
    context.truncated = true;
  }
  while (tooLong() && context.elements.length > 0) context.elements.length -= 1;
  return context;
}

/**
 * @param {readonly RegisteredField[]} registered
 * @param {boolean} values
 * @returns {ContextField[]}
 */
function elements(registered, values) {
  const shown = fieldsOf(document.body).filter((field) => isDescribed(field) && isShown(field));
  const found = groups(shown).slice(0, FIELDS).map((group) => ({ group, field: describe(group, values) }));
  const own = [];
  for (const one of registered.slice(0, FIELDS)) {
    const given = plain(one);
    const named = controlsOf(given);
    // Whatever is registered, a private control stays private.
    if (given.id === "" || named.some(isGuarded)) continue;
    const index = found.findIndex(({ group }) => group.some((field) => named.includes(field)));
    const [same] = index < 0 ? [] : found.splice(index, 1);
    const usual = { label: given.id, kind: "text", required: false };
    own.push(Object.assign(usual, same?.field, given));
  }
  return [...own, ...found.map(({ field }) => field).filter(({ id }) => id !== "")].slice(0, FIELDS);
}

/**
 * The page's controls that a registered field is about, private ones included.
 *
 * @param {RegisteredField} field
 * @returns {Element[]}
 */
function controlsOf({ id, selector, formId: form }) {
  const name = CSS.escape(id);
  const names = ["data-ll-field", "data-livelayer-field", "name", "id"].map((one) => `[${one}="${name}"]`);
  try {
    if (selector !== undefined) return [...document.querySelectorAll(selector)];
    const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(names.join())]);
    return form === undefined ? all : all.filter((one) => isIn(one, form));
  } catch {
    return [];
  }
}

/** @param {Element} control @returns {boolean} whether it is private; a hidden input may stand for a control of the page */
function isGuarded(control) {
  return control.matches("input[type=hidden]") ? isMarkedPrivate(control) : isPrivate(control);
}

/** @param {HTMLElement} field @param {string} name of a form, which may be private */
function isIn(field, name) {
  const form = formOf(field) ?? field.closest("form");
  return form === null || formId(form) === name;
}

/**
 * What is valid in what the application says.
 *
 * @param {RegisteredField} field
 * @returns {RegisteredField}
 */
function plain({ id, label, kind, value, required, description, options, selector, formId: form, region, intent }) {
  /** @type {RegisteredField} */
  const given = { id: typeof id === "string" ? cutText(id, TITLE) : "" };
  const texts = /** @type {const} */ ([
    ["label", label, TITLE], ["description", description, DESCRIPTION], ["selector", selector, DESCRIPTION],
    ["formId", form, TITLE], ["region", region, TITLE], ["intent", intent, TITLE],
  ]);
  for (const [name, text, limit] of texts) if (typeof text === "string") given[name] = cutText(text, limit);
  if (KINDS.includes(/** @type {string} */ (kind))) given.kind = kind;
  if (typeof required === "boolean") given.required = required;
  const now = asValue(value);
  if (now !== undefined) given.value = now;
  if (Array.isArray(options)) given.options = options.slice(0, OPTIONS).flatMap(asOption);
  return given;
}

/** @param {unknown} option @returns {({value: string, label: string} | string)[]} */
function asOption(option) {
  if (typeof option === "string") return [cutText(option, TITLE)];
  const { value, label = value } = /** @type {{value?: unknown, label?: unknown}} */ (option ?? {});
  return typeof value === "string" ? [{ value: cutText(value, TITLE), label: cutText(String(label), TITLE) }] : [];
}

/** @param {unknown} value @returns {FieldValue | undefined} */
function asValue(value) {
  if (typeof value === "string") return cutText(value, VALUE);
  if (typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((one) => typeof one === "string").slice(0, OPTIONS);
  return texts.map((one) => cutText(one, VALUE / OPTIONS));
}

/** @param {HTMLElement[]} group @param {boolean} values @returns {ContextField} */
function describe(group, values) {
  const [field, ...more] = group;
  const form = formOf(field);
  const region = field.closest(REGION);
  const label = cutText(nameOf(field, more), TITLE);
  const { options } = optionsOf(group);
  const value = values ? asValue(valueOf(group)) : undefined;
  const members = {
    value,
    description: descriptionOf(field),
    options: options?.flatMap(asOption),
    selector: cutText(selectorOf(field), VALUE),
    formId: form === null ? "" : cutText(formId(form), TITLE),
    region: region === null ? "" : cutText(mark(region, "region") ?? "", TITLE),
    intent: cutText([field, form, region].map((one) => (one === null ? null : mark(one, "intent"))).find(Boolean) ?? "", TITLE),
  };
  const given = Object.entries(members).filter(([name, one]) => one !== undefined && (one !== "" || name === "value"));
  const required = group.some((one) => one.matches(":required, [aria-required=true]"));
  return { id: cutText(fieldName(field), TITLE) || label, label, kind: kindOf(group), required, ...Object.fromEntries(given) };
}

/** @param {HTMLElement[]} group */
function kindOf([field, ...more]) {
  if (field instanceof HTMLSelectElement) return field.multiple ? "multi_select" : "select";
  if (isChoice(field)) return field.type === "radio" ? "select" : more.length > 0 ? "multi_select" : "boolean";
  if (field instanceof HTMLInputElement) return KIND_OF_TYPE[field.type] ?? "text";
  return field instanceof HTMLTextAreaElement || field.isContentEditable ? "long_text" : "text";
}

/**
 * What a field holds. Not of an element that is edited in place: what is in it is a document.
 *
 * @param {HTMLElement[]} group
 * @returns {FieldValue | undefined}
 */
function valueOf(group) {
  const [field] = group;
  if (field instanceof HTMLSelectElement) {
    const chosen = [...field.selectedOptions].filter((option) => !isPrivate(option)).map(({ value }) => value);
    return field.multiple ? chosen : (chosen[0] ?? "");
  }
  if (isChoice(field)) {
    const boxes = /** @type {HTMLInputElement[]} */ (group);
    const chosen = boxes.filter(({ checked }) => checked).map(({ value }) => value);
    if (field.type === "radio") return chosen[0] ?? "";
    return boxes.length > 1 ? chosen : field.checked;
  }
  if (field instanceof HTMLInputElement) {
    return kindOf(group) === "number" && Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : field.value;
  }
  return field instanceof HTMLTextAreaElement ? field.value : undefined;
}

/** @param {HTMLElement} field */
function descriptionOf(field) {
  const ids = (field.getAttribute("aria-describedby") ?? "").split(/\s+/);
  const texts = ids.map((id) => document.getElementById(id)).map((one) => (one === null || isPrivate(one) ? "" : publicText(one)));
  return cutText(withoutValue(texts.filter(Boolean).join(" ") || collapse(field.title), field), DESCRIPTION);
}

/** @param {HTMLElement} field @returns {string} one that `click` and `scroll_to` take, or "" */
function selectorOf(field) {
  const candidates = [];
  if (field.id !== "") candidates.push(`#${CSS.escape(field.id)}`);
  const name = field.getAttribute("name");
  if (name) candidates.push(`[name="${name}"]`);
  return candidates.find((one) => leadsTo(one, field)) ?? "";
}

/** @param {string} selector @param {HTMLElement} field */
function leadsTo(selector, field) {
  try {
    return find(selector) === field;
  } catch {
    return false;
  }
}
