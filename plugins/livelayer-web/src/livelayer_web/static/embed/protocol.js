// @ts-check
/**
 * What a page and the widget in its frame say to each other. The page sends `hello` to the frame's
 * window, with a port; everything else goes over that port, which no other window has. Every message
 * is `{livelayer: VERSION, type, ...}`.
 */

export const VERSION = 1;

/** The commands that the page around the frame carries out; all others are the frame's. */
export const FORWARDED = ["navigate", "scroll_page", "scroll_to", "click"];

/** Custom properties that the page passes on to the widget. */
export const PROPERTIES = [
  "accent", "on-accent", "background", "surface", "text", "muted", "radius", "height", "widget-width",
  "widget-height", "font", "font-size",
].map((name) => `--ll-${name}`);

/** @typedef {{type: string, [member: string]: unknown}} EmbedMessage */

/**
 * @param {string} type
 * @param {Record<string, unknown>} [members]
 */
export function message(type, members = {}) {
  return { ...members, livelayer: VERSION, type };
}

/**
 * @param {unknown} data
 * @returns {EmbedMessage | null} null: it is not a message of this version
 */
export function read(data) {
  if (typeof data !== "object" || data === null) return null;
  const { livelayer, type } = /** @type {Record<string, unknown>} */ (data);
  return livelayer === VERSION && typeof type === "string" ? /** @type {EmbedMessage} */ (data) : null;
}

/**
 * @param {unknown} value
 * @returns {Record<string, string>} its members that are texts
 */
export function texts(value) {
  const all = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return Object.fromEntries(all.filter(([, text]) => typeof text === "string"));
}
