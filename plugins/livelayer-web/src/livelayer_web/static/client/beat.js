// @ts-check
/** The heartbeat: that somebody is here, what is wanted now, and that a person used the page. */

import { asSessionError } from "./errors.js";
import { pageInfo } from "./page-info.js";

/** @typedef {{video: boolean, audio: boolean, height?: number}} Wants */

const SOON = 30; // milliseconds in which changes are gathered

export class Beat {
  #seconds = 0;
  #used = false;
  #flying = false;
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

  /** @param {number} seconds between two beats at most */
  start(seconds) {
    this.#seconds = seconds;
    this.#page = JSON.stringify(pageInfo());
    this.now();
  }

  stop() {
    this.#seconds = 0;
    clearTimeout(this.#timer);
  }

  /** What is wanted has changed. */
  now() {
    if (this.#seconds === 0) return;
    if (this.#flying) this.#again = true;
    else this.#after(SOON);
  }

  /** A person used this page: commands come here. */
  used() {
    this.#used = true;
    this.now();
  }

  /** @param {number} milliseconds */
  #after(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), milliseconds);
  }

  async #beat() {
    if (this.#seconds === 0 || this.http.key === null) return;
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
      // Everything else is the event stream's to notice.
      if (asSessionError(error).stranger && this.http.key === key) this.lost();
    } finally {
      this.#flying = false;
    }
    if (this.#seconds > 0) this.#after(this.#again ? SOON : this.#seconds * 1000);
  }
}
