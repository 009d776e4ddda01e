// @ts-check
/** Asks a person who ends a conversation that others share: leave it, or end it for everyone. */

import { h, set, show, text } from "./dom.js";

/** @import { PanelActions, Props } from "./types.js" */

export class EndQuestion {
  /** @param {PanelActions} actions */
  constructor(actions) {
    /** @param {() => void} answer */
    const button = (answer) => {
      const onclick = () => {
        this.toggle(false);
        answer();
      };
      return h("button", { type: "button", class: "text-button", onclick });
    };
    this.words = h("p", { class: "text" });
    this.leave = button(() => actions.act("leave"));
    this.all = button(() => actions.act("endForAll"));
    this.stay = button(() => {});
    const properties = { class: "question", part: "question", role: "group", hidden: true };
    this.element = h("div", properties, this.words, this.leave, this.all, this.stay);
  }

  /** @param {boolean} open */
  toggle(open) {
    show(this.element, open);
    if (open) this.leave.focus({ preventScroll: true });
  }

  /** @param {Props} props */
  update({ client, model, t, choices, widget }) {
    if (!isShared(client) || !model.live || (widget && choices.display !== "expanded")) show(this.element, false);
    set(this.element, "aria-label", t("endShared"));
    text(this.words, t("endShared"));
    text(this.leave, t("leave"));
    text(this.all, t("endForAll"));
    text(this.stay, t("cancel"));
  }
}

/** Whether other pages are in the conversation. @param {Props["client"]} client */
export function isShared(client) {
  return (client?.info?.viewers ?? 1) > 1;
}
