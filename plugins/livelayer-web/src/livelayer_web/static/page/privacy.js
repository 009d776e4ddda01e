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
  "[role=textbox], [role=searchbox], [role=combobox], [role=spinbutton], [role=slider]",
  "script, style, noscript, template, svg, canvas, iframe, object, audio, video, [aria-hidden=true]",
].join(", ");

/**
 * Whether an element belongs to the widget, lies in a part that the author marked as private, or is
 * a private field: a password, a hidden or file input, a card's data, or `autocomplete="off"`, its
 * own or its form's.
 *
 * @param {Element} element
 * @returns {boolean}
 */
export function isPrivate(element) {
  return isMarkedPrivate(element) || isPrivateField(element);
}

/** @param {Element} element @returns {boolean} whether it belongs to the widget, or to a part that the author marked */
export function isMarkedPrivate(element) {
  return element.closest(`${OWN}, ${PRIVATE}`) !== null;
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
  if (element instanceof HTMLInputElement && PRIVATE_TYPES.includes(element.type)) return true;
  if (element.matches(NO_FIELD)) return false;
  let words = autocomplete(element);
  if (words === "" && "form" in element && element.form instanceof HTMLFormElement) words = autocomplete(element.form);
  return words.split(/\s+/).some(isPrivateWord);
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
  if (root.closest(UNREAD) !== null || !isVisible(root)) return "";
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
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
  const fields = root.querySelectorAll(TYPED);
  const texts = [...fields].map((field) => collapse("value" in field ? String(field.value) : (field.textContent ?? "")).toLowerCase());
  return texts.filter((text) => text !== "");
}

/** @param {string} text */
export function collapse(text) {
  return text.replace(/\s+/g, " ").trim();
}
