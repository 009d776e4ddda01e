// @ts-check
/** What a page tells its server of itself: no query and no fragment, where secrets may be. */

/** @returns {{url: string, title: string}} */
export function pageInfo() {
  return { url: `${location.origin}${location.pathname}`.slice(0, 2000), title: document.title.slice(0, 200) };
}
