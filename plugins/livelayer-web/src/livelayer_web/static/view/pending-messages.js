// @ts-check
/** Messages that the server has not taken yet: being sent, or failed, with a choice. */

import { smallButton } from "./controls.js";
import { h, label, set, show, text } from "./dom.js";

/** @import { Client, Props } from "./types.js" */
/** @typedef {{row: HTMLLIElement, words: HTMLElement, word: HTMLElement, again: HTMLButtonElement, drop: HTMLButtonElement}} Row */

export class PendingMessages {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Client | null} */
  #client = null;

  constructor() {
    this.element = h("ul", { class: "outbox", part: "outbox", hidden: true });
  }

  /** @param {Props} props */
  update({ client, model, t }) {
    this.#client = client;
    const pending = client?.pending ?? [];
    set(this.element, "aria-label", t("outbox"));
    show(this.element, pending.length > 0);
    const cut = client?.link.phase === "recovering" || model.phase === "reconnecting";
    const waiting = cut ? "outboxKept" : model.calm ? "outboxWaiting" : "outboxSoon";
    for (const { id, text: words, failed } of pending) {
      const row = this.#rows.get(id) ?? this.#add(id);
      text(row.words, words);
      text(row.word, failed ? `${t("outboxFailed")}. ${reasonOf(failed, t)}`.trim() : t(waiting, { name: model.name }));
      row.row.classList.toggle("failed", Boolean(failed));
      show(row.again, Boolean(failed) && typeof client?.retryMessage === "function");
      show(row.drop, Boolean(failed) && typeof client?.discardMessage === "function");
      label(row.again, t("outboxRetry"));
      label(row.drop, t("outboxDiscard"));
    }
    const ids = new Set(pending.map((one) => one.id));
    for (const [id, { row }] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
  }

  /** @param {string} id */
  #add(id) {
    const words = h("span", { class: "words", dir: "auto" });
    const word = h("span", { class: "word", dir: "auto" });
    const again = smallButton("retry", () => this.#client?.retryMessage?.(id));
    const drop = smallButton("close", () => this.#client?.discardMessage?.(id));
    const row = h("li", {}, h("span", { class: "what" }, words, word), again, drop);
    this.element.append(row);
    const parts = { row, words, word, again, drop };
    this.#rows.set(id, parts);
    return parts;
  }
}

/** @type {Record<string, import("./strings.js").Key>} */
const REASONS = {
  size: "failedSize",
  timeout: "failedTimeout",
  rate: "failedRate",
  grant: "failedGrant",
  not_allowed: "failedNotAllowed",
  not_connected: "failedOffline",
};

/**
 * @param {string} code the server's
 * @param {import("./strings.js").Translate} t
 * @returns {string} a sentence for a person; empty for an internal code
 */
function reasonOf(code, t) {
  const key = REASONS[code];
  return key === undefined ? "" : t(key);
}
