// @ts-check
/** The whole conversation as a list that stays at its end unless a person scrolls up. */

import { h, set, show, text } from "./dom.js";

/** @import { Entry, Props } from "./types.js" */
/** @typedef {{row: HTMLLIElement, who: HTMLElement, words: HTMLElement}} Row */

const NEAR_END = 48; // px

export class TranscriptList {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  #sticks = true;

  constructor() {
    this.list = h("ol", { class: "lines" });
    this.empty = h("p", { class: "empty" });
    // A log that announces nothing: the announcer reads each final line, once for all panels.
    this.element = h(
      "div",
      { class: "transcript", part: "transcript", role: "log", "aria-live": "off", tabindex: "0" },
      this.empty,
      this.list,
    );
    this.element.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.element;
      this.#sticks = scrollHeight - scrollTop - clientHeight < NEAR_END;
    });
    // It may be opened or resized while nothing is said.
    const size = new ResizeObserver(() => this.#stick());
    size.observe(this.element);
    size.observe(this.list);
  }

  #stick() {
    if (this.#sticks) this.element.scrollTop = this.element.scrollHeight;
  }

  /** @param {Props} props */
  update({ model, t, choices, entries: all }) {
    set(this.element, "aria-label", t("transcript"));
    this.element.classList.toggle("chosen", choices.transcript);
    text(this.empty, t("transcriptEmpty"));
    const entries = all.filter((entry) => entry.text);
    show(this.empty, entries.length === 0);
    show(this.list, entries.length > 0);
    entries.forEach((entry, index) => {
      const { row, who, words } = this.#rows.get(entry.id) ?? this.#add(entry);
      text(who, entry.role === "agent" ? model.name : t("you"));
      text(words, entry.text);
      row.classList.toggle("partial", !entry.final);
      if (this.list.children[index] !== row) {
        this.list.insertBefore(row, this.list.children[index] ?? null);
      }
    });
    const present = new Set(entries.map((entry) => entry.id));
    for (const [id, { row }] of this.#rows) {
      if (present.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    this.#stick();
  }

  /** @param {Entry} entry */
  #add(entry) {
    const who = h("span", { class: "who", dir: "auto" });
    const words = h("span", { class: "words", dir: "auto" });
    const row = h("li", { class: entry.role === "agent" ? "agent" : "user" }, who, words);
    const parts = { row, who, words };
    this.#rows.set(entry.id, parts);
    return parts;
  }
}
