// @ts-check
/** A surface that brings its own session: a private session element, ended with the surface. */

/** @typedef {import("./find.js").SessionElement} SessionElement */

const PASSED = ["agent-id", "base", "token", "capabilities", "navigate-origins"];

/**
 * Makes the element that owns the session, carries its sound and does what the agent asks.
 *
 * @param {HTMLElement} surface
 * @returns {SessionElement} to be put into the document's body, outside of what a router replaces
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
 * Remembers that this tab began a session for the surface's agent, so that a reload goes on.
 *
 * @param {HTMLElement} surface
 */
export function keepSession(surface) {
  try {
    sessionStorage.setItem(keyOf(surface), "begun");
  } catch {
    // Forbidden: after a reload it waits to be asked again.
  }
}

/**
 * Whether this tab began a session for the surface's agent before it was reloaded.
 *
 * @param {HTMLElement} surface
 */
export function wasBrought(surface) {
  try {
    return sessionStorage.getItem(keyOf(surface)) !== null;
  } catch {
    return false;
  }
}

/**
 * Forgets it: the conversation was ended, so that a reload begins nothing.
 *
 * @param {HTMLElement} surface
 */
export function forgetSession(surface) {
  try {
    sessionStorage.removeItem(keyOf(surface));
  } catch {
    // Then it was not kept either.
  }
}

/** @param {HTMLElement} surface */
function keyOf(surface) {
  return `ll-alone ${surface.getAttribute("base") ?? ""} ${surface.getAttribute("agent-id")}`;
}
