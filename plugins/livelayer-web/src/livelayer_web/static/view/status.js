// @ts-check
/** The pill that names the agent and what it is doing, with a sign that moves differently for each. */

import { h, set, text } from "./dom.js";

/** @typedef {import("./parts.js").Scene} Scene */

const BARS = 4;

/** A sign of the phase: one shape in each, so that colour alone never tells them apart. */
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

  /** @param {Scene} scene */
  update({ model }) {
    set(this.element, "data-phase", model.phase);
    text(this.name, model.name);
    text(this.word, model.title);
  }
}
