// @ts-check
/** The capabilities that an agent needs to act on this page, and those it has. */

/** As in livelayer_bus/capabilities.py; a test compares them. @type {Record<string, string>} */
const CAPABILITIES = {
  navigate: "navigate",
  scroll_to: "scroll",
  scroll_page: "scroll",
  click: "click",
  fill_form: "fill_forms",
  focus_field: "fill_forms",
  submit_form: "submit_forms",
  request_page_context: "read_page",
  request_routes: "read_page",
};

/**
 * @param {string} type of a message
 * @returns {string | null} the capability it needs; null: it is not a command
 */
export function capabilityOf(type) {
  if (type.startsWith("task_")) return "collect_data";
  return Object.hasOwn(CAPABILITIES, type) ? CAPABILITIES[type] : null;
}

/**
 * The capabilities that both the server and the element grant. Without the attribute, an element
 * grants what the server does; with `capabilities=""`, it grants nothing.
 *
 * @param {readonly string[]} served
 * @param {string | null} own the attribute: words separated by white space or commas
 * @returns {Set<string>}
 */
export function allowed(served, own) {
  if (own === null) return new Set(served);
  const words = new Set(own.split(/[\s,]+/));
  return new Set(served.filter((word) => words.has(word)));
}
