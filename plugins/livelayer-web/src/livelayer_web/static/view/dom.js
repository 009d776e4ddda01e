// @ts-check
/** Creates and updates elements; never parses markup, so no text can become markup. */

/** @typedef {Node | {element: Node} | string | null | undefined | false} Child a part stands for its element */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Properties */

/**
 * An element with its attributes, listeners (`on...` functions) and children.
 *
 * `true` sets an empty attribute; `false`, `null` and `undefined` set none.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  for (const child of children) {
    if (child || child === "") element.append(typeof child === "object" && "element" in child ? child.element : child);
  }
  return element;
}

/**
 * Sets or removes an attribute; untouched when it has that value already, so that nothing restarts.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value
 */
export function set(element, name, value) {
  if (value === false || value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Puts a text into an element, unless it is there already.
 *
 * @param {Element} element
 * @param {string} value
 */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/**
 * Sets a button's label, for assistive technology and as a tooltip.
 *
 * @param {Element} element
 * @param {string} words
 */
export function label(element, words) {
  set(element, "aria-label", words);
  set(element, "data-tip", words);
}

/** @param {HTMLElement} element @param {boolean} shown */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Whether an element is a field in which a person types. @param {EventTarget | null | undefined} target */
export function takesText(target) {
  return target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement;
}

/**
 * Sets the properties that were set before the element was defined.
 *
 * @param {HTMLElement} element
 * @param {readonly string[]} names
 */
export function upgrade(element, names) {
  for (const name of names) {
    if (!Object.hasOwn(element, name)) continue;
    const value = Reflect.get(element, name);
    Reflect.deleteProperty(element, name);
    Reflect.set(element, name, value);
  }
}
