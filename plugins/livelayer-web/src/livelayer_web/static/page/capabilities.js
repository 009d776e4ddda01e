// @ts-check
/** What an agent may do to this page: an allow-list of seven words. */

/** @type {Record<string, string>} */
const GOVERNED = {
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
 * @returns {string | null} the capability it needs; null: it is no command
 */
export function capabilityOf(type) {
  if (type.startsWith("task_")) return "collect_data";
  return Object.hasOwn(GOVERNED, type) ? GOVERNED[type] : null;
}

/**
 * What the server allows and the element does too. An element that says nothing allows what the
 * server does; one that says `capabilities=""` allows nothing.
 *
 * @param {readonly string[]} served
 * @param {string | null} own the attribute: words parted by white space or commas
 * @returns {Set<string>}
 */
export function allowed(served, own) {
  if (own === null) return new Set(served);
  const words = new Set(own.split(/[\s,]+/));
  return new Set(served.filter((word) => words.has(word)));
}
