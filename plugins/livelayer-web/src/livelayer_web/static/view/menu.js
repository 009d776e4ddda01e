// @ts-check
/** A button that opens a list of buttons: arrow keys move in it, Escape and leaving close it. */

import { isVisible } from "../client/older.js";
import { h, label, set, show } from "./dom.js";
import { icon } from "./icons.js";

/** @import { Child } from "./dom.js" */

export class Menu {
  /** @param {import("./icons.js").IconName} drawing @param {string} name of the part */
  constructor(drawing, name) {
    this.opener = h(
      "button",
      {
        type: "button",
        class: `switch ${name}-switch`,
        part: `button ${name}-switch`,
        "aria-expanded": "false",
        onclick: () => this.toggle(!this.open),
      },
      icon(drawing),
    );
    this.list = h("ul", { class: "menu", part: `menu ${name}-menu`, hidden: true });
    this.element = h("div", { class: `holder ${name}` }, this.opener, this.list);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("focusout", (event) => {
      const to = /** @type {Node | null} */ (event.relatedTarget);
      if (to && !this.element.contains(to)) this.toggle(false);
    });
  }

  get open() {
    return !this.list.hidden;
  }

  /** @param {boolean} open */
  toggle(open) {
    if (this.open === open) return;
    const inside = this.list.matches(":focus-within");
    show(this.list, open);
    set(this.opener, "aria-expanded", String(open));
    if (open) this.#buttons()[0]?.focus();
    else if (inside) this.opener.focus();
  }

  /** @param {string} words */
  name(words) {
    label(this.opener, words);
    set(this.list, "aria-label", words);
  }

  /**
   * Adds a button to the list; pressing it closes the list first.
   *
   * @param {() => void} press
   * @param {...Child} children
   */
  add(press, ...children) {
    const onclick = () => {
      this.toggle(false);
      press();
    };
    const button = h("button", { type: "button", class: "item", onclick }, ...children);
    this.list.append(h("li", {}, button));
    return button;
  }

  /** @returns {HTMLButtonElement[]} */
  #buttons() {
    return [...this.list.querySelectorAll("button")].filter(isVisible);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.open) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      this.toggle(false);
      this.opener.focus();
      return;
    }
    const buttons = this.#buttons();
    const at = buttons.findIndex((one) => one.matches(":focus"));
    const to = {
      ArrowDown: (at + 1) % buttons.length,
      ArrowUp: (at - 1 + buttons.length) % buttons.length,
      Home: 0,
      End: buttons.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    buttons[to]?.focus();
  }
}
