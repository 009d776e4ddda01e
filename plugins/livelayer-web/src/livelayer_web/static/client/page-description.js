// @ts-check
/** Keeps the server's description of this page up to date. */

import { asSessionError } from "./errors.js";

const NONE = "null";

export class PageDescription {
  #wanted = NONE;
  #known = NONE;
  #sending = false;

  /** @param {import("./http.js").Http} http */
  constructor(http) {
    this.http = http;
  }

  /** @param {import("../page/agent-context.js").AgentContext | null} page null: it is not described */
  set(page) {
    this.#wanted = JSON.stringify(page);
    void this.send();
  }

  /** The server has no description of this page. */
  forget() {
    this.#known = NONE;
  }

  /** Sends what the server does not have; what it refuses is not sent again. */
  async send() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.http.key !== null && this.#known !== this.#wanted) {
        const { key } = this.http;
        const text = this.#wanted;
        await this.http.send("PUT", "viewers/me/page", { json: { page: JSON.parse(text) } }).catch((error) => {
          if (asSessionError(error).retryable) throw error;
        });
        if (key === this.http.key) this.#known = text;
      }
    } catch {
      // Sent with the next change, or when the link is back.
    } finally {
      this.#sending = false;
    }
  }
}
