// @ts-check
/** The heartbeat: keeps this viewer alive, and reports which media it wants and whether it is used. */

import { asSessionError } from "./errors.js";

/** @typedef {{video: boolean, audio: boolean, height?: number}} Wants */

const SOON = 30; // milliseconds in which changes are collected

export class Heartbeat {
  #seconds = 0;
  #used = false;
  #flying = false;
  #due = 0;
  #again = false;
  #page = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {import("./http.js").Http} http
   * @param {() => Wants} wants
   * @param {() => void} lost the server does not know this viewer
   */
  constructor(http, wants, lost) {
    this.http = http;
    this.wants = wants;
    this.lost = lost;
  }

  /**
   * @param {number} seconds between two heartbeats, at most
   * @param {ReturnType<typeof pageInfo>} page what the server was told on joining
   */
  start(seconds, page) {
    this.#seconds = seconds;
    this.#page = JSON.stringify(page);
    this.soon();
  }

  stop() {
    this.#seconds = 0;
    clearTimeout(this.#timer);
  }

  /** Sends one at once: what is wanted has changed. */
  soon() {
    if (this.#seconds === 0) return;
    if (this.#flying) this.#again = true;
    else this.#after(SOON);
  }

  /** Reports that a person used this page: commands go to it. */
  markUsed() {
    this.#used = true;
    this.soon();
  }

  /** Something came from the server: sends one that is due, since a hidden page's timers run late. */
  pulse() {
    if (!this.#flying && performance.now() >= this.#due) void this.#send();
  }

  /** @param {number} milliseconds */
  #after(milliseconds) {
    clearTimeout(this.#timer);
    this.#due = performance.now() + milliseconds;
    this.#timer = setTimeout(() => void this.#send(), milliseconds);
  }

  async #send() {
    if (this.#seconds === 0 || this.http.key === null) return;
    clearTimeout(this.#timer);
    const key = this.http.key;
    const used = this.#used;
    const page = JSON.stringify(pageInfo());
    this.#used = false;
    this.#flying = true;
    this.#again = false;
    try {
      const json = {
        wants: this.wants(),
        ...(used ? { used: true } : {}),
        ...(page === this.#page ? {} : { page: JSON.parse(page) }),
      };
      await this.http.send("POST", "viewers/me/beat", { json, limit: 4 });
      this.#page = page;
    } catch (error) {
      this.#used ||= used;
      // The event stream notices every other error.
      const { stranger, code } = asSessionError(error);
      if ((stranger || code === "workers") && this.http.key === key) this.lost();
    } finally {
      this.#flying = false;
    }
    if (this.#seconds > 0) this.#after(this.#again ? SOON : this.#seconds * 1000);
  }
}

/** The page around the frame that this one is in. @type {ReturnType<typeof pageInfo> | null} */
let around = null;

/** Reports another page than this one. @param {string} url */
export function setPage(url) {
  around = { url: url.slice(0, 2000), title: "" };
}

/**
 * What the server learns of a page: no query and no fragment, where secrets may be.
 *
 * @returns {{url: string, title: string}}
 */
export function pageInfo() {
  return around ?? { url: `${location.origin}${location.pathname}`.slice(0, 2000), title: document.title.slice(0, 200) };
}
