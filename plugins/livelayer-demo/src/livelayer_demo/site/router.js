// @ts-check
/** Changes pages without a reload: fetches the page and replaces the main element only. */

import { announce, isTalking } from "./announce.js";

const PATIENCE = 8000; // milliseconds that a page may take

/** Shows one page at a time; a later `go` aborts one that is still loading. */
export class Router {
  /** @type {AbortController | null} */
  #coming = null;
  #shown = location.pathname;
  #main = /** @type {HTMLElement} */ (document.querySelector("main"));

  /** Handles links, back and forward. */
  start() {
    history.scrollRestoration = "manual";
    document.addEventListener("click", (event) => this.#follow(event));
    addEventListener("popstate", () => this.#back());
    addEventListener("scrollend", () => remember());
    this.#place(location.hash);
  }

  /**
   * Shows the page at `href`, which must be this site's; resolves when it is there.
   *
   * @param {string} href
   * @param {{push?: boolean}} [options] `push`: it becomes a new entry of the history
   * @throws {Error} there is no such page, it did not come in time, or a later one was asked for
   */
  async go(href, { push = true } = {}) {
    this.#coming?.abort(new Error("another page was asked for"));
    this.#coming = new AbortController();
    const { signal } = this.#coming;
    const wanted = new URL(href, location.href);
    const [page, url] = await fetchPage(wanted, signal);
    signal.throwIfAborted();
    if (push && url.href !== location.href) {
      remember();
      history.pushState({ y: 0 }, "", url);
    }
    this.#show(page, url.pathname);
    this.#place(url.hash);
    announce(document.title);
  }

  /**
   * @param {Document} page
   * @param {string} path
   */
  #show(page, path) {
    const main = page.querySelector("main");
    if (!main) throw new Error("a page without a main part");
    this.#shown = path;
    document.title = page.title;
    this.#main.replaceChildren(...main.childNodes);
    for (const link of document.querySelectorAll("header nav a")) {
      if (link instanceof HTMLAnchorElement && link.pathname === path) {
        link.setAttribute("aria-current", "page");
      } else {
        link.removeAttribute("aria-current");
      }
    }
    // A person who is typing to the agent keeps the focus.
    if (!isTalking()) this.#main.focus({ preventScroll: true });
  }

  /**
   * Scrolls where this entry of the history was left, or to its fragment.
   *
   * @param {string} hash
   */
  #place(hash) {
    const y = history.state?.y ?? 0;
    const target = hash ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
    if (target && !y) target.scrollIntoView({ behavior: "instant" });
    else scrollTo({ top: y, behavior: "instant" });
  }

  /** @param {MouseEvent} event */
  #follow(event) {
    const link = event.composedPath().find((item) => item instanceof HTMLAnchorElement);
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
    if (link.hash && link.pathname === location.pathname) return; // within this page
    event.preventDefault();
    this.go(link.href).catch((error) => {
      // The browser loads the page instead, unless another one was requested since.
      if (this.#coming?.signal.reason !== error) location.assign(link.href);
    });
  }

  #back() {
    if (location.pathname === this.#shown) this.#place(location.hash);
    else this.go(location.href, { push: false }).catch(() => location.reload());
  }
}

/**
 * @param {URL} url
 * @param {AbortSignal} signal
 * @returns {Promise<[Document, URL]>}
 */
async function fetchPage(url, signal) {
  const answer = await fetch(url, {
    headers: { accept: "text/html" },
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
  });
  const kind = answer.headers.get("content-type") ?? "";
  if (!answer.ok || !kind.startsWith("text/html")) {
    throw new Error(`there is no page at ${url.pathname} (${answer.status})`);
  }
  const place = new URL(answer.url);
  place.hash = url.hash;
  return [new DOMParser().parseFromString(await answer.text(), "text/html"), place];
}

/** Stores the scroll position in the history. */
function remember() {
  history.replaceState({ ...history.state, y: Math.round(scrollY) }, "");
}
