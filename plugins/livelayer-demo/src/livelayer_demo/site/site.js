// @ts-check
/** The demo site: links and the agent's commands change the page while the connection stays. */

import { serveForm } from "./form.js";
import { Router } from "./router.js";

/** @typedef {{href: string, url: string, done: (work: Promise<void>) => void}} Navigation */

const router = new Router();
router.start();
serveForm();

const session = document.querySelector("livelayer-session");

session?.addEventListener("navigate", (event) => {
  const { url, done } = /** @type {CustomEvent<Navigation>} */ (event).detail;
  if (new URL(url).origin !== location.origin) return; // the element handles other sites
  event.preventDefault();
  done(router.go(url)); // reports the outcome to the agent
});

document.addEventListener("click", async ({ target }) => {
  const button = target instanceof Element ? target.closest("[data-say]") : null;
  const text = button?.getAttribute("data-say");
  if (!text || !session) return;
  await customElements.whenDefined(session.localName);
  // @ts-expect-error - a custom element's method
  await session.sendMessage(text);
});
