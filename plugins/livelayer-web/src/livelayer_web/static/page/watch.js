// @ts-check
/** Reports that a page may show something else: its elements, what a person entered, or its path. */

import { OWN } from "./privacy.js";
import { watchPath } from "./routes.js";

const QUIET = 200; // milliseconds without a change, until it is reported
const LATEST = 1000; // milliseconds after the first change, if it does not become quiet

/**
 * @param {() => void} changed called once now, and after changes
 * @returns {() => void} stops watching
 */
export function watchPage(changed) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let first = 0;
  const report = () => {
    first = 0;
    changed();
  };
  const soon = () => {
    const now = performance.now();
    first ||= now;
    clearTimeout(timer);
    timer = setTimeout(report, Math.max(0, Math.min(QUIET, first + LATEST - now)));
  };
  const observer = new MutationObserver((records) => records.some(({ target }) => !isOwn(target)) && soon());
  observer.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  const end = new AbortController();
  for (const kind of ["input", "change", "reset", "toggle", "resize"]) {
    addEventListener(kind, soon, { signal: end.signal, capture: true, passive: true });
  }
  const stop = watchPath(soon);
  soon();
  return () => {
    clearTimeout(timer);
    observer.disconnect();
    end.abort();
    stop();
  };
}

/** @param {Node} node @returns {boolean} whether it belongs to the widget, which changes often */
function isOwn(node) {
  return node instanceof Element && node.closest(OWN) !== null;
}
