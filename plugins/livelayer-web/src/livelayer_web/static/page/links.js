// @ts-check
/** The routes of a site where the application lists none: the links of this page. */

import { isPrivate, publicText } from "./privacy.js";

/** At most this many routes in one message, as in livelayer_bus/messages. */
export const MAX_ROUTES = 200;

/** @typedef {string | {path: string, title?: string, [member: string]: unknown}} Route */

/**
 * @returns {Route[]} the site's own pages that this one links to, each once
 */
export function linkedRoutes() {
  /** @type {Map<string, Route>} */
  const routes = new Map();
  for (const link of document.querySelectorAll("a[href], area[href]")) {
    const { href } = /** @type {HTMLAnchorElement} */ (link);
    if (isPrivate(link) || !URL.canParse(href)) continue;
    const url = new URL(href);
    if (url.origin !== location.origin || routes.has(url.pathname)) continue;
    const title = link.getAttribute("aria-label") || publicText(link);
    routes.set(url.pathname, { path: url.pathname, ...(title ? { title } : {}) });
    if (routes.size > MAX_ROUTES) break;
  }
  return [...routes.values()];
}
