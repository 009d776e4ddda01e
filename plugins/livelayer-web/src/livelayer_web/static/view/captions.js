// @ts-check
/** The latest line of each side over the picture; the announcer reads them to screen readers. */

import { h, set, show, text } from "./dom.js";

/** @import { Entry, Props } from "./types.js" */

export class Captions {
  constructor() {
    this.user = h("p", { class: "line user", dir: "auto", hidden: true }, h("span"));
    this.agent = h("p", { class: "line agent", dir: "auto", hidden: true }, h("span"));
    this.element = h("div", { class: "captions", part: "captions", "aria-hidden": "true" }, this.user, this.agent);
  }

  /** @param {Props} props */
  update({ model, choices, entries: all }) {
    const entries = choices.captions && model.live ? all : [];
    const greeting = choices.captions && model.live ? model.greeting : "";
    set(this.element, "aria-hidden", greeting === "" ? "true" : null);
    const agent = entries.findLastIndex((entry) => entry.role === "agent" && entry.text);
    const user = entries.findLastIndex((entry) => entry.role === "user" && entry.text);
    this.#line(this.agent, entries[agent] ?? (greeting === "" ? undefined : { text: greeting, final: true }));
    this.#line(this.user, entries[user]);
    // In the order in which they were said.
    this.element.classList.toggle("answered", user < agent);
  }

  /** @param {HTMLElement} line @param {Pick<Entry, "text" | "final"> | undefined} entry */
  #line(line, entry) {
    show(line, Boolean(entry));
    line.classList.toggle("partial", Boolean(entry && !entry.final));
    const words = /** @type {Element} */ (line.firstElementChild);
    text(words, entry ? entry.text : "");
    // A long line shows its end, where it grows.
    words.scrollTop = words.scrollHeight;
  }
}
