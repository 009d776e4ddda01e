// @ts-check
/** The conversation as a list that stays at its end unless a person scrolls up; only a part is drawn. */

import { wordsOf } from "./activity.js";
import { h, set, show, text } from "./dom.js";

/** @import { Entry, Props } from "./types.js" */
/** @typedef {{row: HTMLLIElement, who: HTMLElement, words: HTMLElement, note: HTMLElement}} Row */

const NEAR = 48; // px from the end or the start
const MOOD = 40; // characters of how the agent says it
const STEP = 60; // lines that are drawn, and drawn more when a person scrolls to the first one

/**
 * Guarantee: an update takes as long after 100,000 lines as after 10. Lines that the session's state
 * has left out are kept while a person reads them, and asked of the server before that.
 */
export class TranscriptList {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Props | null} */
  #props = null;
  #sticks = true;
  #drawn = STEP;
  /** Lines before those of the state, in order. @type {readonly Entry[]} */
  #earlier = [];
  /** The state's lines when they were last drawn. @type {readonly Entry[]} */
  #last = [];
  #asking = false;
  #begins = false;

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
      this.#sticks = scrollHeight - scrollTop - clientHeight < NEAR;
      this.element.classList.toggle("cut", scrollTop > 0);
      if (scrollTop < NEAR && scrollHeight > clientHeight) this.#more();
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
  update(props) {
    const { t, choices, entries, client, model, activities } = props;
    this.#props = props;
    set(this.element, "aria-label", t("transcript"));
    this.element.classList.toggle("chosen", choices.transcript);
    const hint = t(client?.state?.continued === false ? "startsAfresh" : "transcriptEmpty");
    text(this.empty, model.greeting || hint);
    const said = entries.length + activities.length > 0;
    show(this.empty, !said);
    show(this.list, said);
    if (entries !== this.#last) this.#follow(entries);
    this.#draw();
    this.#stick();
  }

  /**
   * Keeps the lines that the state has left out since, as long as a person reads.
   *
   * @param {readonly Entry[]} entries
   */
  #follow(entries) {
    const first = entries.length > 0 ? keyOf(entries[0]) : null;
    const left = this.#last.findIndex((entry) => keyOf(entry) === first);
    if (this.#sticks || left < 0) {
      this.#earlier = [];
      this.#drawn = STEP;
      this.#begins = false;
    } else if (left > 0) {
      this.#earlier = [...this.#earlier, ...this.#last.slice(0, left)];
      this.#drawn += left;
    }
    this.#last = entries;
  }

  #draw() {
    const { model, t, activities } = /** @type {Props} */ (this.#props);
    const missing = this.#drawn - this.#last.length;
    const entries = this.#last.slice(-this.#drawn);
    if (missing > 0) entries.unshift(...this.#earlier.slice(-missing));
    const present = new Set();
    let index = 0;
    /** @param {Row} row */
    const place = ({ row }) => {
      if (this.list.children[index] !== row) this.list.insertBefore(row, this.list.children[index] ?? null);
      index += 1;
    };
    /** @param {string | null} after */
    const quiet = (after) => {
      for (const call of activities.filter((one) => (one.after && keyOf(one.after)) === after)) {
        const key = `tool ${call.id}`;
        present.add(key);
        const line = this.#rows.get(key) ?? this.#add(key);
        set(line.row, "class", "quiet");
        set(line.row, "data-status", call.status);
        text(line.words, wordsOf(call, t));
        set(line.words, "dir", null);
        show(line.who, false);
        place(line);
      }
    };
    quiet(null);
    for (const entry of entries) {
      if (!entry.text) continue;
      const key = keyOf(entry);
      present.add(key);
      const line = this.#rows.get(key) ?? this.#add(key);
      const { row, who, words, note } = line;
      set(row, "class", entry.role === "agent" ? "agent" : "user");
      row.classList.toggle("partial", !entry.final || entry.delivery === "pending");
      const mood = entry.mood ? ` · ${entry.mood.slice(0, MOOD)}` : "";
      text(who, entry.role === "agent" ? `${model.name}${mood}` : t("you"));
      text(words, entry.text);
      show(note, entry.delivery === "failed");
      text(note, entry.delivery === "failed" ? t("lineFailed") : "");
      place(line);
      quiet(key);
    }
    for (const [key, { row }] of this.#rows) {
      if (present.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
  }

  /** Draws more lines at the start, asking the server for what is not here. */
  async #more() {
    if (this.#drawn < this.#last.length + this.#earlier.length) {
      this.#drawn += STEP;
      this.#grow();
      return;
    }
    const client = this.#props?.client;
    const first = this.#earlier[0] ?? this.#last[0];
    const omitted = (client?.state?.transcript_omitted ?? 0) > this.#earlier.length;
    if (!omitted || this.#asking || this.#begins || !first || !client?.earlierTranscript) return;
    this.#asking = true;
    try {
      const more = await client.earlierTranscript(first);
      // Unless the conversation was cleared meanwhile, or the person went back to its end.
      if ((this.#earlier[0] ?? this.#last[0]) !== first || this.#sticks) return;
      this.#begins = more.length === 0;
      this.#earlier = [...more, ...this.#earlier];
      this.#drawn += more.length;
      this.#grow();
    } catch {
      // The next scrolling tries again.
    } finally {
      this.#asking = false;
    }
  }

  /** Draws, leaving what is being read where it is. */
  #grow() {
    const { scrollHeight, scrollTop } = this.element;
    this.#draw();
    this.element.scrollTop = scrollTop + this.element.scrollHeight - scrollHeight;
  }

  /** @param {string} key */
  #add(key) {
    const who = h("span", { class: "who", dir: "auto" });
    const words = h("span", { class: "words", dir: "auto" });
    const note = h("span", { class: "note", dir: "auto", hidden: true });
    const parts = { row: h("li", {}, who, words, note), who, words, note };
    this.#rows.set(key, parts);
    return parts;
  }
}

/**
 * What a line is known by.
 *
 * @param {Entry} entry
 */
export function keyOf({ sender, id }) {
  return `${sender ?? ""} ${id}`;
}
