// @ts-check
/** The pill with the agent's name and state, and a sign with an animation for each state. */

import { h, set, text } from "./dom.js";

/** @import { Props } from "./types.js" */

const BARS = 4;

/** A sign of the phase: each has its shape, so that colour is not the only difference. */
export function sign() {
  const element = h("span", { class: "sign", "aria-hidden": "true" });
  for (let index = 0; index < BARS; index += 1) element.append(h("i"));
  return element;
}

export class Status {
  constructor() {
    this.name = h("span", { class: "name", dir: "auto" });
    this.word = h("span", { class: "word" });
    this.element = h(
      "div",
      { class: "status", part: "status" },
      sign(),
      h("span", { class: "words" }, this.name, this.word),
    );
  }

  /** @param {Props} props */
  update({ model }) {
    set(this.element, "data-phase", model.phase);
    text(this.name, model.name);
    text(this.word, model.title);
  }
}
