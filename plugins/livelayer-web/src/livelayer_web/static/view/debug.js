// @ts-check
/** The event log: every event of the session, to filter, pause and copy. */

import { button } from "./controls.js";
import { h, label, set, show, text } from "./dom.js";
import { turn } from "./icons.js";

/** @import { Line, SessionLog } from "./session-log.js" */
/** @import { Props } from "./types.js" */

const NEAR_END = 40; // px

export class Debug {
  /** @type {SessionLog | null} */
  #log = null;
  /** The lines that are shown while it is paused. @type {readonly Line[] | null} */
  #held = null;
  #copied = false;
  #filter = "";
  #frame = 0;
  /** @type {import("./strings.js").Translate | null} */
  #t = null;

  /** @param {() => void} close */
  constructor(close) {
    this.input = h("input", {
      type: "search",
      class: "filter",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        this.#filter = this.input.value.trim().toLowerCase();
        this.#draw();
      },
    });
    this.pause = button("pause", "debug-pause", () => this.#hold());
    this.copy = button("copy", "debug-copy", () => void this.#copy());
    this.clear = button("clear", "debug-clear", () => this.#log?.clear());
    this.close = button("close", "debug-close", close);
    this.title = h("h2", { class: "heading" });
    this.count = h("p", { class: "count" });
    this.list = h("ol", { class: "events", tabindex: "0" });
    this.element = h(
      "section",
      { class: "debug", part: "debug", hidden: true },
      h("div", { class: "row" }, this.title, this.count, this.close),
      h("div", { class: "row" }, this.input, this.pause, this.copy, this.clear),
      this.list,
    );
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {boolean} open */
  toggle(open) {
    if (open === this.open) return;
    show(this.element, open);
    this.#draw();
  }

  /** @param {SessionLog | null} log */
  follow(log) {
    if (log === this.#log) return;
    this.#log?.removeEventListener("change", this.#changed);
    this.#log = log;
    this.#held = null;
    log?.addEventListener("change", this.#changed);
    this.#draw();
  }

  /** @param {Props} props */
  update({ t }) {
    this.#t = t;
    text(this.title, t("debugTitle"));
    set(this.element, "aria-label", t("debug"));
    set(this.list, "aria-label", t("debugTitle"));
    set(this.input, "aria-label", t("debugFilter"));
    set(this.input, "placeholder", t("debugFilter"));
    label(this.clear.element, t("debugClear"));
    label(this.close.element, t("debugClose"));
    this.#drawButtons();
  }

  /** The buttons that change: what they do next, or have just done. */
  #drawButtons() {
    turn(this.pause.icon, this.#held ? "play" : "pause");
    turn(this.copy.icon, this.#copied ? "check" : "copy");
    if (this.#t === null) return;
    label(this.pause.element, this.#t(this.#held ? "debugResume" : "debugPause"));
    label(this.copy.element, this.#t(this.#copied ? "debugCopied" : "debugCopy"));
  }

  #changed = () => {
    if (!this.open || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  };

  #hold() {
    this.#held = this.#held ? null : [...(this.#log?.lines ?? [])];
    this.#drawButtons();
    this.#draw();
  }

  async #copy() {
    const lines = this.#wanted().map((line) => JSON.stringify(line));
    try {
      await navigator.clipboard.writeText(`${lines.join("\n")}\n`);
    } catch {
      return; // not allowed: a person can still select the lines
    }
    this.#showCopied(true);
    this.copy.element.addEventListener("blur", () => this.#showCopied(false), { once: true });
  }

  /** @param {boolean} copied */
  #showCopied(copied) {
    this.#copied = copied;
    this.#drawButtons();
  }

  #wanted() {
    const lines = this.#held ?? this.#log?.lines ?? [];
    const filter = this.#filter;
    if (filter === "") return lines;
    return lines.filter(({ kind, body }) => `${kind} ${body}`.toLowerCase().includes(filter));
  }

  /** Adds new rows and removes old ones; keeps the others, so that a selection survives. */
  #draw() {
    if (!this.open) return;
    const wanted = this.#wanted();
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    /** @type {Map<string, Element>} */
    const rows = new Map();
    const numbers = new Set(wanted.map((line) => String(line.number)));
    for (const row of [.../** @type {Iterable<HTMLElement>} */ (this.list.children)]) {
      if (numbers.has(row.dataset.number ?? "")) rows.set(row.dataset.number ?? "", row);
      else row.remove();
    }
    wanted.forEach((line, index) => {
      const row = rows.get(String(line.number)) ?? draw(line);
      const there = this.list.children[index] ?? null;
      if (there !== row) this.list.insertBefore(row, there);
    });
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
    const kept = (this.#held ?? this.#log?.lines ?? []).length;
    const values = { shown: wanted.length, kept, dropped: this.#log?.dropped ?? 0 };
    if (this.#t) text(this.count, this.#t("debugCount", values));
  }
}

/** @param {Line} line */
function draw({ number, sequence, time, kind, body }) {
  return h(
    "li",
    { "data-number": number },
    h("span", { class: "sequence" }, String(sequence ?? "")),
    h("span", { class: "time" }, time),
    h("span", { class: "kind" }, kind),
    h("code", { class: "body" }, body),
  );
}
