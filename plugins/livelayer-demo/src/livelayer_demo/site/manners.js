// @ts-check
/** What is owed to people who listen to the page, or are busy typing. */

const polite = document.createElement("p");
polite.className = "unseen";
polite.setAttribute("role", "status");
document.body.append(polite);

/**
 * Has a screen reader say something when it fits.
 *
 * @param {string} text
 */
export function announce(text) {
  polite.textContent = text;
}

/** Whether the keyboard belongs to a conversation with the agent: then nothing may take it away. */
export function isTalking() {
  return document.activeElement?.closest("livelayer-avatar") != null;
}
