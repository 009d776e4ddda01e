// @ts-check
/** Finding what an agent names on a page, and never what is livelayer's own. */

const OWN = "livelayer-avatar, [data-livelayer]";

/** A selector, or a form's or field's name, that cannot be used at all. */
export class InvalidTarget extends Error {}

/**
 * The first element that is on show, else the first one there is.
 *
 * @param {unknown} selector
 * @returns {HTMLElement | null}
 * @throws {InvalidTarget} it is no selector
 */
export function find(selector) {
  if (typeof selector !== "string" || selector.trim() === "") throw new InvalidTarget("no selector");
  let found;
  try {
    found = [...document.querySelectorAll(selector)];
  } catch {
    throw new InvalidTarget("no selector");
  }
  const elements = /** @type {HTMLElement[]} */ (found.filter((one) => one instanceof HTMLElement || one instanceof SVGElement));
  const foreign = elements.filter((one) => !isOwn(one));
  return foreign.find(isShown) ?? foreign[0] ?? null;
}

/**
 * @param {Element} element
 * @returns {boolean} whether it is part of livelayer, and not the page's
 */
export function isOwn(element) {
  return element.closest(OWN) !== null;
}

/**
 * @param {Element} element
 * @returns {boolean} whether it is laid out and not hidden
 */
export function isShown(element) {
  if (element.getClientRects().length === 0) return false;
  return element.checkVisibility?.({ visibilityProperty: true, opacityProperty: false }) ?? true;
}

/**
 * A form by its id, its name, or `data-livelayer-form` (on a form or around fields without one).
 *
 * @param {unknown} id
 * @returns {HTMLElement | null}
 * @throws {InvalidTarget} it is no text
 */
export function findForm(id) {
  if (typeof id !== "string" || id === "") throw new InvalidTarget("no form id");
  const name = CSS.escape(id);
  for (const selector of [`[data-livelayer-form="${name}"]`, `form[id="${name}"]`, `form[name="${name}"]`]) {
    for (const found of document.querySelectorAll(selector)) {
      if (found instanceof HTMLElement && !isOwn(found)) return found;
    }
  }
  return null;
}

/**
 * What a form calls itself.
 *
 * @param {HTMLElement} form
 * @returns {string}
 */
export function formId(form) {
  return form.dataset.livelayerForm || form.getAttribute("id") || form.getAttribute("name") || "";
}

/**
 * The fields of a form, in its order: controls, and what can be edited in place.
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
      one instanceof HTMLElement && !(one instanceof HTMLFieldSetElement) && !isOwn(one),
  );
}

/**
 * @param {HTMLElement} field
 * @returns {string} its name, else its id
 */
export function fieldName(field) {
  return field.dataset.livelayerField || field.getAttribute("name") || field.id;
}

/**
 * The fields of that name: one, or the members of a group.
 *
 * @param {HTMLElement} form
 * @param {string} name
 * @returns {HTMLElement[]}
 */
export function fieldsNamed(form, name) {
  const fields = fieldsOf(form);
  /** @type {((field: HTMLElement) => boolean)[]} */
  const ways = [
    (field) => field.dataset.livelayerField === name,
    (field) => field.getAttribute("name") === name,
    (field) => field.id === name,
  ];
  for (const way of ways) {
    const found = fields.filter(way);
    if (found.length > 0) return found;
  }
  return [];
}

/**
 * @param {HTMLElement} field
 * @returns {string} what stands beside it for a person
 */
export function labelOf(field) {
  const labels = "labels" in field ? /** @type {NodeListOf<HTMLLabelElement> | null} */ (field.labels) : null;
  const text =
    field.getAttribute("aria-label") ||
    labels?.[0]?.textContent ||
    field.getAttribute("placeholder") ||
    (field instanceof HTMLButtonElement ? field.textContent : "") ||
    "";
  return text.replace(/\s+/g, " ").trim();
}
