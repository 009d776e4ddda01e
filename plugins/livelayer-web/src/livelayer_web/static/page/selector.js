// @ts-check
/** The selectors that an agent may use: none that could read the value of a field. */

const NAME = String.raw`(?:[\w\u0080-\uffff-]|\\[0-9a-f]{1,6}\s?|\\[^0-9a-f\s])+`;
const VALUE = String.raw`(?:[~|^$*]?=\s*(?:"[^"\\]*"|'[^'\\]*'|[\w-]+)\s*[is]?\s*)?`;
const STRUCTURE = "id|class|name|for|type|role|data-testid|data-(?:ll|livelayer)-[a-z-]+";
const TEXT = "href|title|alt|aria-label";
const POSITION = String.raw`:(?:first|last|only)-(?:child|of-type)|:nth-(?:last-)?(?:child|of-type)\([\dnevod+\s-]+\)`;
const TOKEN = new RegExp(
  [
    String.raw`(?<comma>\s*,\s*)`,
    String.raw`(?<combinator>\s*[>+~]\s*|\s+)`,
    String.raw`(?<text>\[\s*(?:${TEXT})\s*${VALUE}\])`,
    String.raw`\*|[a-z][\w-]*|[#.]${NAME}|\[\s*(?:${STRUCTURE})\s*${VALUE}\]|${POSITION}`,
  ].join("|"),
  "iy",
);

/**
 * Whether a selector consists of element names, ids, classes, positions, and a few attributes that
 * hold no value of a field. Attributes with text (`href`, `title`, `alt`, `aria-label`) may only
 * describe the element that is selected, which is then checked, and none that stands near it.
 *
 * Without this rule an agent could find out a value letter by letter (`[value^=a]`, `:checked`).
 *
 * @param {string} selector
 * @returns {boolean}
 */
export function isAllowed(selector) {
  let text = false;
  for (let at = 0; at < selector.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(selector)?.groups;
    if (groups === undefined) return false;
    if (groups.combinator !== undefined && text) return false;
    text = groups.text !== undefined || (text && groups.comma === undefined);
  }
  return true;
}
