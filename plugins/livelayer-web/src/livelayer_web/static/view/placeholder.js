// @ts-check
/** The text under the picture while there is no conversation: the state, and what to do. */

import { actionButton } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon, turn } from "./icons.js";
import { Suggestions } from "./suggestions.js";

/** @import { PanelActions, Props } from "./types.js" */

/** @type {Partial<Record<import("./model.js").Phase, import("./icons.js").IconName>>} */
const SIGNS = { absent: "alert", error: "alert", refused: "lock", missing: "alert", closed: "lock" };

export class Placeholder {
  /** @param {PanelActions} actions */
  constructor(actions) {
    this.sign = icon("alert");
    this.badge = h("span", { class: "badge", "aria-hidden": "true", hidden: true }, this.sign);
    this.name = h("p", { class: "who" });
    this.title = h("p", { class: "title", dir: "auto" });
    this.hint = h("p", { class: "hint", dir: "auto" });
    this.greeting = h("p", { class: "greeting", dir: "auto" });
    this.suggestions = new Suggestions(actions);
    this.button = actionButton({ class: "primary", part: "action" }, actions);
    this.voice = icon("microphone");
    this.words = h("span");
    this.button.append(this.voice, this.words);
    const { badge, name, title, greeting, hint, suggestions, button } = this;
    const parts = [badge, name, title, greeting, hint, suggestions, button];
    this.element = h("div", { class: "placeholder", part: "placeholder" }, ...parts);
  }

  /** @param {Props} props */
  update(props) {
    const { model, t } = props;
    const { phase, action } = model;
    show(this.element, !model.live);
    set(this.element, "data-phase", phase);
    const sign = SIGNS[phase];
    show(this.badge, Boolean(sign));
    if (sign) turn(this.sign, sign);
    const idle = phase === "idle";
    show(this.name, idle);
    this.#introduce(model);
    show(this.title, !idle);
    text(this.title, idle ? "" : model.title);
    show(this.greeting, idle);
    text(this.greeting, idle ? model.greeting || t("welcome") : "");
    text(this.hint, model.hint);
    this.suggestions.update(props, idle);
    show(this.button, action !== null);
    if (action === null) return;
    set(this.button, "data-action", action);
    text(this.words, t(action, { name: model.name }));
    this.voice.classList.toggle("off", action !== "connect" || !model.voice);
    this.button.classList.toggle("quiet", action === "cancel" || phase === "recovering");
  }

  /** @param {import("./model.js").Model} model */
  #introduce({ name, role }) {
    const words = [h("b", { dir: "auto" }, name), role ? h("span", { dir: "auto" }, role) : null];
    if (this.name.textContent !== name + role) this.name.replaceChildren(...words.filter((one) => one !== null));
  }
}
