// @ts-check
/** The style sheet of every avatar on the page: fetched once, adopted by each shadow root. */

import { Backoff, pause } from "../client/backoff.js";

/**
 * `avatar.css`, hidden until it has arrived, so that no unstyled content is ever painted.
 *
 * A constructed sheet rather than a `<link>` in each shadow root: a link loads again whenever its
 * element moves. Not `import ... with { type: "css" }` either: Safari does not support it. A
 * content security policy needs `connect-src` for it, which the session needs too.
 */
export const stylesheet = new CSSStyleSheet();
stylesheet.replaceSync(":host { display: none !important }");
void load();

async function load() {
  const backoff = new Backoff();
  const { signal } = new AbortController(); // retries until the file is there
  for (;;) {
    try {
      const response = await fetch(new URL("avatar.css", import.meta.url));
      if (response.ok) return stylesheet.replaceSync(await response.text());
    } catch {
      // Offline: the session reports that.
    }
    await pause(backoff.next(), signal);
  }
}
