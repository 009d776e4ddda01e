// @ts-check
/** The latest line of each side, below the picture; the announcer reads them to screen readers. */

import { h, set, show, text } from "./dom.js";
import { keyOf } from "./transcript-list.js";

/** @import { Client, Entry, Props } from "./types.js" */

export class Captions {
  /** @type {Client | null} */
  #client = null;
  /** The lines that were there before this page: history, which the transcript has. @type {Set<string> | null} */
  #past = null;

  constructor() {
    this.user = h("p", { class: "line user", dir: "auto", hidden: true }, h("span"));
    this.agent = h("p", { class: "line agent", dir: "auto", hidden: true }, h("span"));
    this.element = h("div", { class: "captions", part: "captions", "aria-hidden": "true" }, this.user, this.agent);
    // A hidden line has no height, and another width wraps it otherwise.
    const size = new ResizeObserver(() => [this.user, this.agent].forEach(showEnd));
    size.observe(this.element);
  }

  /** @param {Props} props */
  update({ client, model, choices, entries: all }) {
    const present = this.#present(client, all, model.phase === "speaking");
    const on = choices.captions && model.live;
    const entries = on ? present : [];
    const greeting = on ? model.greeting : "";
    show(this.element, on);
    set(this.element, "aria-hidden", greeting === "" ? "true" : null);
    const agent = entries.findLastIndex((entry) => entry.role === "agent" && entry.text);
    const user = entries.findLastIndex((entry) => entry.role === "user" && entry.text);
    // In the order in which they were said.
    this.element.classList.toggle("answered", user < agent || greeting !== "");
    this.#line(this.agent, entries[agent] ?? (greeting === "" ? undefined : { text: greeting, final: true }));
    this.#line(this.user, entries[user]);
  }

  /**
   * The lines without those of before this page, unless the last one is being spoken: over a silent
   * face they would look as if they were said now.
   *
   * @param {Client | null} client
   * @param {readonly Entry[]} all
   * @param {boolean} speaking
   */
  #present(client, all, speaking) {
    if (client !== this.#client) {
      this.#client = client;
      this.#past = null;
    }
    if (!client?.state) return all;
    this.#past ??= new Set(all.filter((entry) => entry.final).map(keyOf));
    const past = this.#past;
    if (past.size === 0) return all;
    const first = all.findIndex((entry) => !past.has(keyOf(entry)));
    const present = first < 0 ? [] : all.slice(first);
    return present.length === 0 && speaking ? all.slice(-1) : present;
  }

  /** @param {HTMLElement} line @param {Pick<Entry, "text" | "final"> | undefined} entry */
  #line(line, entry) {
    show(line, Boolean(entry));
    line.classList.toggle("partial", Boolean(entry && !entry.final));
    text(/** @type {Element} */ (line.firstElementChild), entry ? entry.text : "");
    showEnd(line);
  }
}

const SLACK = 3; // px that rounding may leave

/** A long line shows its end, where it grows, and fades out where it is cut. @param {HTMLElement} line */
function showEnd(line) {
  const words = /** @type {Element} */ (line.firstElementChild);
  words.scrollTop = words.scrollHeight;
  line.classList.toggle("cut", words.scrollHeight - words.clientHeight > SLACK);
  line.classList.toggle("wide", words.scrollWidth - words.clientWidth > SLACK);
}
