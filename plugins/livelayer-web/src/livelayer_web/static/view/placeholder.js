// @ts-check
/** The text under the picture while there is no conversation: the state, and what to do. */

import { actionButton } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon, turn } from "./icons.js";

/** @import { PanelActions, Props } from "./types.js" */

/** @type {Partial<Record<import("./model.js").Phase, import("./icons.js").IconName>>} */
const SIGNS = { absent: "alert", error: "alert", refused: "lock", missing: "alert", closed: "lock" };
const BUSY = new Set(["connecting", "joining", "recovering"]);

export class Placeholder {
  /** @param {PanelActions} actions */
  constructor(actions) {
    this.sign = icon("alert");
    this.badge = h("span", { class: "badge", "aria-hidden": "true", hidden: true }, this.sign);
    this.title = h("p", { class: "title", dir: "auto" });
    this.hint = h("p", { class: "hint", dir: "auto" });
    this.greeting = h("p", { class: "greeting", dir: "auto" });
    this.progress = h("span", { class: "progress", "aria-hidden": "true", hidden: true }, h("i"));
    this.button = actionButton({ class: "primary", part: "action" }, actions);
    const { badge, title, greeting, hint, progress, button } = this;
    this.element = h("div", { class: "placeholder", part: "placeholder" }, badge, title, greeting, hint, progress, button);
  }

  /** @param {Props} props */
  update({ model, t }) {
    const { phase, action } = model;
    show(this.element, !model.live);
    set(this.element, "data-phase", phase);
    const sign = SIGNS[phase];
    show(this.badge, Boolean(sign));
    if (sign) turn(this.sign, sign);
    text(this.title, phase === "idle" ? model.name : model.title);
    const greets = phase === "idle" && model.greeting !== "";
    show(this.greeting, greets);
    text(this.greeting, greets ? model.greeting : "");
    text(this.hint, phase === "idle" && model.role ? `${model.role}. ${model.hint}` : model.hint);
    show(this.progress, BUSY.has(phase));
    show(this.button, action !== null);
    if (action === null) return;
    set(this.button, "data-action", action);
    text(this.button, t(action, { name: model.name }));
    this.button.classList.toggle("quiet", action === "cancel" || phase === "recovering");
  }
}
