// @ts-check
/** The addresses that an agent may send a page to, and the routes of a site, from the links of a page. */

import { parseUrl } from "../client/older.js";
import { isPrivate, publicText } from "./privacy.js";

/** At most this many routes in one message, as in livelayer_bus/messages. */
export const MAX_ROUTES = 200;

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u; // what Python calls not printable

/** @typedef {string | {path: string, title?: string, [member: string]: unknown}} Route */

/**
 * @returns {Route[]} the site's own pages that this one links to, each once
 */
export function linkedRoutes() {
  /** @type {Map<string, Route>} */
  const routes = new Map();
  for (const link of document.querySelectorAll("a[href], area[href]")) {
    const { href } = /** @type {HTMLAnchorElement} */ (link);
    if (isPrivate(link)) continue;
    const url = parseUrl(href);
    if (url === null || url.origin !== location.origin || routes.has(url.pathname)) continue;
    const title = link.getAttribute("aria-label") || publicText(link);
    routes.set(url.pathname, { path: url.pathname, ...(title ? { title } : {}) });
    if (routes.size > MAX_ROUTES) break;
  }
  return [...routes.values()];
}

/**
 * The address, made absolute; null when it is refused, as in `href_problem` of livelayer_bus: another
 * scheme than http and https, no host, a user name before it, or anything that a browser reads
 * differently from how it looks.
 *
 * @param {unknown} href
 * @returns {URL | null}
 */
export function safeUrl(href) {
  if (typeof href !== "string" || href === "" || href !== href.trim()) return null;
  if (UNSEEN.test(href) || href.includes("\\") || href.startsWith("//")) return null;
  const scheme = /^([a-z][a-z0-9+.-]*:)(.*)$/i.exec(href);
  if (scheme !== null && !(/^https?:$/i.test(scheme[1]) && /^\/\/[^/?#]/.test(scheme[2]))) return null;
  const url = parseUrl(href, document.baseURI);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") return null;
  return scheme !== null && /^\/\/[^/?#]*@/.test(scheme[2]) ? null : url;
}
