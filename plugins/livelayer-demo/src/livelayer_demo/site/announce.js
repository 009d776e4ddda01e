// @ts-check
/** Announcements to screen readers, and whether a person is talking to the agent. */

const polite = document.createElement("p");
polite.className = "unseen";
polite.setAttribute("role", "status");
document.body.append(polite);

/**
 * Has a screen reader announce a text politely.
 *
 * @param {string} text
 */
export function announce(text) {
  polite.textContent = text;
}

/** Whether the focus is in the avatar: it must stay there. */
export function isTalking() {
  return document.activeElement?.closest("livelayer-avatar") != null;
}
