// @ts-check
/** The session that a surface shows: an ancestor, the one it names, the page's only one, or its own. */

import { readJson, storageOf, writeJson } from "../client/storage.js";

/** @import { TokenProvider } from "../client/link.js" */
/** @import { Client } from "./types.js" */
/** @typedef {HTMLElement & {client?: Client | null, tokenProvider?: TokenProvider | null,
 *   contextExtras?: import("../page/extras.js").Extras}} SessionElement */

const NAME = "livelayer-session";
/** Attributes that a surface passes on to a session of its own. */
const PASSED = ["agent-id", "base", "token", "capabilities", "navigate-origins", "share-fields"];

/**
 * @param {HTMLElement} surface
 * @returns {SessionElement | null} null if there is none, or several and none is named
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
 * Calls back whenever a session element becomes ready, leaves or moves.
 *
 * @param {() => void} changed
 * @returns {() => void} stops watching
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

/**
 * Creates the session element of a surface that opens a session of its own.
 *
 * @param {HTMLElement} surface
 * @returns {SessionElement} to be appended to the body, outside of what a router replaces
 */
export function bringSession(surface) {
  const element = /** @type {SessionElement} */ (document.createElement("livelayer-session"));
  element.setAttribute("private", "");
  for (const name of PASSED) {
    const value = surface.getAttribute(name);
    if (value !== null) element.setAttribute(name, value);
  }
  keepSession(surface);
  return element;
}

/**
 * Remembers that this tab opened a session for the surface's agent, so that a reload continues it.
 *
 * @param {HTMLElement} surface
 */
export function keepSession(surface) {
  writeJson(storageOf("sessionStorage"), keyOf(surface), true);
}

/**
 * Whether this tab opened a session for the surface's agent before it was reloaded.
 *
 * @param {HTMLElement} surface
 * @returns {boolean}
 */
export function wasBrought(surface) {
  return readJson(storageOf("sessionStorage"), keyOf(surface), false);
}

/** Forgets it: the conversation has ended, so a reload opens nothing. @param {HTMLElement} surface */
export function forgetSession(surface) {
  writeJson(storageOf("sessionStorage"), keyOf(surface), null);
}

/** @param {HTMLElement} surface */
function keyOf(surface) {
  return `ll-alone ${surface.getAttribute("base") ?? ""} ${surface.getAttribute("agent-id")}`;
}
