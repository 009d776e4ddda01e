// @ts-check
/** The demo site: links and the agent's commands change the page, and the connection stays. */

import { serveForm } from "./form.js";
import { Router } from "./router.js";

const router = new Router();
router.start();
serveForm();

const session = document.querySelector("livelayer-session");

session?.addEventListener("navigate", (event) => {
  const { href } = /** @type {CustomEvent<{href: string}>} */ (event).detail;
  const url = new URL(href, location.href);
  if (url.origin !== location.origin) return; // another site: the session's element goes there
  event.preventDefault();
  router.go(url.href);
});

document.addEventListener("click", async ({ target }) => {
  const button = target instanceof Element ? target.closest("[data-say]") : null;
  const text = button?.getAttribute("data-say");
  if (!text || !session) return;
  await customElements.whenDefined(session.localName);
  // @ts-expect-error - a custom element's method
  await session.sendMessage(text);
});
