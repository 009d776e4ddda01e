// @ts-check
/** What a person may say first, as buttons: a press sends the text as if it were typed. */

import { h, set, show } from "./dom.js";
import { icon } from "./icons.js";

/** @import { PanelActions, Props } from "./types.js" */

export class Suggestions {
  #drawn = "";

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.actions = actions;
    this.element = h("ul", { class: "suggestions", part: "suggestions", hidden: true });
  }

  /** @param {Props} props @param {boolean} shown */
  update({ model, t }, shown) {
    set(this.element, "aria-label", t("suggestions"));
    show(this.element, shown && model.suggestions.length > 0);
    const drawn = JSON.stringify(model.suggestions);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.element.replaceChildren(...model.suggestions.map((words) => this.#item(words)));
  }

  /** @param {string} words */
  #item(words) {
    const onclick = (/** @type {MouseEvent} */ { detail }) => detail < 2 && this.actions.say(words);
    const button = h("button", { type: "button", class: "suggestion", part: "suggestion", onclick });
    button.append(h("span", { dir: "auto" }, words), icon("send"));
    return h("li", {}, button);
  }
}
