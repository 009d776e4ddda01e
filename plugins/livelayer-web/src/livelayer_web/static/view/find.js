// @ts-check
/** Which session a surface shows: an ancestor, the one it names, or the page's only one. */

/** @typedef {import("./parts.js").Client} Client */
/** @typedef {HTMLElement & {client?: Client | null}} SessionElement */

const NAME = "livelayer-session";

/**
 * @param {HTMLElement} surface
 * @returns {SessionElement | null} null while there is none, or more than one and none is meant
 */
export function findSession(surface) {
  const id = surface.getAttribute("session");
  if (id) return /** @type {SessionElement | null} */ (document.getElementById(id));
  const above = ancestor(surface);
  if (above) return above;
  const all = document.querySelectorAll(`${NAME}:not([private])`);
  return all.length === 1 ? /** @type {SessionElement} */ (all[0]) : null;
}

/**
 * The nearest session around an element, out of shadow trees too.
 *
 * @param {Element} element
 * @returns {SessionElement | null}
 */
function ancestor(element) {
  /** @type {Element | null} */
  let place = element;
  while (place) {
    const found = place.closest(NAME);
    if (found) return /** @type {SessionElement} */ (found);
    const root = place.getRootNode();
    place = root instanceof ShadowRoot ? root.host : null;
  }
  return null;
}

/**
 * Calls back whenever a session element became ready, left or changed its place.
 *
 * @param {() => void} changed
 * @returns {() => void} ends it
 */
export function watchSessions(changed) {
  const end = new AbortController();
  const { signal } = end;
  document.addEventListener("livelayer-session-ready", changed, { signal });
  document.addEventListener("livelayer-session-gone", changed, { signal });
  void customElements.whenDefined(NAME).then(() => {
    if (!signal.aborted) changed();
  });
  return () => end.abort();
}
