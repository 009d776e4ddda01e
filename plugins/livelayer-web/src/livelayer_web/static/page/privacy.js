// @ts-check
/** What an agent neither reads nor changes on a page, whatever capabilities it has. */

import { isVisible, parseUrl } from "../client/older.js";

export const OWN = "livelayer-avatar, [data-livelayer]";
const PRIVATE = "[data-ll-private], [data-ll-skip], [data-livelayer-private], [data-livelayer-skip]";
const PRIVATE_TYPES = ["password", "hidden", "file"];
/** Elements with a form that hold no value of their own. */
const NO_FIELD = "form, fieldset, label, button, option, object, input:is([type=submit], [type=button], [type=reset], [type=image])";
/** Elements in which a person writes, or whose elements stand for a value. */
const WRITTEN = "output, select, datalist, [contenteditable]:not([contenteditable=false]), [role=textbox]";
/** Fields that hold what a person types. */
const TYPED = "input:not([type=submit], [type=button], [type=reset], [type=image], [type=radio], [type=checkbox]), textarea, [contenteditable]";
/** Elements whose content is a value that a person entered, or text that the page does not show. */
const UNREAD = [
  OWN, PRIVATE,
  "input, textarea, select, datalist, output, [contenteditable]:not([contenteditable=false])",
  "[role=textbox], [role=searchbox], [role=combobox], [role=spinbutton], [role=slider], [aria-haspopup=listbox]",
  "script, style, noscript, template, svg, canvas, iframe, object, audio, video, [aria-hidden=true]",
].join(", ");
const SHORT = 4; // characters below which a text repeats a value only as a whole

/** Fields that were passwords: a page may show one as text, or put another field in its place. */
const passwords = {
  fields: /** @type {WeakSet<Element>} */ (new WeakSet()),
  names: /** @type {Set<string>} */ (new Set()),
};

const changes = typeof MutationObserver === "undefined" ? null : new MutationObserver(noteChanges);
changes?.observe(document, { subtree: true, attributeFilter: ["type"], attributeOldValue: true });

/** @param {MutationRecord[]} records */
function noteChanges(records) {
  for (const { target, oldValue } of records) {
    if (oldValue?.trim().toLowerCase() === "password") noteAsPassword(/** @type {Element} */ (target));
  }
}

/**
 * Whether an element belongs to the widget, lies in a part that the author marked as private, or is
 * a private field: a password (also one that is shown as text now), a hidden or file input, a card's
 * data, or `autocomplete="off"`, its own or its form's. A field of a private form is private wherever
 * it stands, and so is what a component shows in a private part of its shadow tree.
 *
 * @param {Element} element
 * @returns {boolean}
 */
export function isPrivate(element) {
  return isMarkedPrivate(element) || isPrivateField(element);
}

/** @param {Element} element @returns {boolean} whether it belongs to the widget, or to a part that the author marked */
export function isMarkedPrivate(element) {
  for (let one = /** @type {Element | null} */ (element); one !== null; one = shownIn(one)) {
    if (one.closest(`${OWN}, ${PRIVATE}`) !== null) return true;
  }
  return false;
}

/** @param {Element} element @returns {Element | null} the nearest slot that it is shown in, or else the host around it */
function shownIn(element) {
  for (let one = /** @type {Element | null} */ (element); one !== null; one = one.parentElement) {
    if (one.assignedSlot !== null) return one.assignedSlot;
  }
  const root = element.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** @param {Element} element @returns {boolean} whether it is inside of what a person writes or chooses */
export function isWritten(element) {
  return Boolean(element.parentElement?.closest(WRITTEN));
}

/**
 * Whether these attributes of an element are what a person is shown: not within a field, only the
 * `aria-label` of a field itself, and no address with a user name in it or of another kind than
 * pages, e-mail and telephone.
 *
 * @param {Element} element
 * @param {string[]} attributes of `href`, `title`, `alt`, `aria-label`
 * @returns {boolean}
 */
export function isDescribed(element, attributes) {
  if (element.parentElement?.closest(UNREAD)) return false;
  if (element.matches(UNREAD) && attributes.some((one) => one !== "aria-label")) return false;
  if (!attributes.includes("href")) return true;
  const url = parseUrl(element.getAttribute("href") ?? "", document.baseURI);
  return url !== null && /^(?:https?|mailto|tel):$/.test(url.protocol) && url.username === "" && url.password === "";
}

/** @param {Element} element */
function isPrivateField(element) {
  if (element.matches(NO_FIELD)) return false;
  // A component of the page's own may be a field, too.
  const type = element instanceof HTMLInputElement ? element.type : (element.getAttribute("type") ?? "").trim().toLowerCase();
  if (type === "password") noteAsPassword(element);
  if (PRIVATE_TYPES.includes(type) || wasPassword(element) || isMasked(element)) return true;
  const form = "form" in element && element.form instanceof HTMLFormElement ? element.form : null;
  if (form !== null && isMarkedPrivate(form)) return true;
  let words = autocomplete(element);
  if (words === "" && form !== null) words = autocomplete(form);
  return words.split(/\s+/).some(isPrivateWord);
}

/** @param {Element} element @returns {string[]} what names it on this path */
function namesOf(element) {
  const names = ["name", "id"].map((one) => element.getAttribute(one)).filter(Boolean);
  return names.map((one) => `${location.pathname} ${one}`);
}

/** @param {Element} element */
function noteAsPassword(element) {
  if (passwords.fields.has(element)) return;
  passwords.fields.add(element);
  for (const name of namesOf(element)) passwords.names.add(name);
}

/** @param {Element} element */
function wasPassword(element) {
  noteChanges(changes?.takeRecords() ?? []); // what asks may run before the observer does
  return passwords.fields.has(element) || (element.matches("input") && namesOf(element).some((name) => passwords.names.has(name)));
}

/** @param {Element} element @returns {boolean} whether its style shows dots instead of what is typed */
function isMasked(element) {
  if (!element.matches("input, textarea")) return false;
  return !["", "none"].includes(getComputedStyle(element).getPropertyValue("-webkit-text-security"));
}

/** @param {string} word of `autocomplete` */
function isPrivateWord(word) {
  return word === "off" || word === "one-time-code" || word.startsWith("cc-") || word.endsWith("-password");
}

/** @param {Element} element */
function autocomplete(element) {
  return (element.getAttribute("autocomplete") ?? "").trim().toLowerCase();
}

/**
 * The text of an element that a person can see, without private parts and without the content of
 * fields; white space is collapsed.
 *
 * @param {Element} root
 * @param {number} [limit] characters
 * @returns {string}
 */
export function publicText(root, limit = 200) {
  if (root.closest(UNREAD) !== null || isMarkedPrivate(root) || !isVisible(root)) return "";
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
    const { assignedSlot } = /** @type {Element | Text} */ (node);
    if (assignedSlot !== null && isMarkedPrivate(assignedSlot)) return NodeFilter.FILTER_REJECT;
    if (!(node instanceof Element)) return NodeFilter.FILTER_ACCEPT;
    return node.matches(UNREAD) || !isVisible(node) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP;
  });
  let text = "";
  while (text.length < limit && walker.nextNode()) {
    const piece = collapse(walker.currentNode.nodeValue ?? "");
    if (piece !== "") text += text === "" ? piece : ` ${piece}`;
  }
  return text.slice(0, limit);
}

/**
 * What the fields in an element hold, private ones included: what a person typed, not what was chosen
 * from a list.
 *
 * @param {ParentNode} root
 * @returns {string[]} in lower case, none of them empty
 */
export function typedTexts(root) {
  return [...root.querySelectorAll(TYPED)].map((field) => heldBy(field).toLowerCase()).filter((text) => text !== "");
}

/** @param {Element} field */
function heldBy(field) {
  return collapse("value" in field ? String(field.value) : (field.textContent ?? ""));
}

/**
 * A text that names or explains a field, without what the field holds: some pages repeat it there.
 *
 * @param {string} text
 * @param {Element} field
 * @returns {string}
 */
export function withoutValue(text, field) {
  const chosen = field instanceof HTMLSelectElement ? [...field.selectedOptions].filter(({ value }) => value !== "") : [];
  const held = field.matches(TYPED) ? [heldBy(field)] : chosen.flatMap(({ value, label }) => [value, collapse(label)]);
  return held.reduce((left, value) => {
    if (value.length < SHORT) return value !== "" && left.toLowerCase() === value.toLowerCase() ? "…" : left;
    return left.replace(new RegExp(value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi"), "…");
  }, text);
}

/** @param {string} text */
export function collapse(text) {
  return text.replace(/\s+/g, " ").trim();
}
