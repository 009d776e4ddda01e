// @ts-check
/** The notices of a conversation as lines above the controls; a person can dismiss some. */

import { actionButton, smallButton } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon, turn } from "./icons.js";

/** @import { Notice } from "./notices.js" */
/** @import { PanelActions, Props } from "./types.js" */
/** @typedef {{row: HTMLElement, sign: SVGSVGElement, words: HTMLElement, act: HTMLButtonElement, away: HTMLButtonElement}} Row */

/** @type {Record<Notice["tone"], import("./icons.js").IconName>} */
const SIGNS = { info: "info", warn: "retry", error: "alert" };

export class NoticeBar {
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** The dismissed notices, by text: a notice with another text shows again. @type {Map<string, string>} */
  #away = new Map();

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.actions = actions;
    this.element = h("div", { class: "notices", part: "notices", hidden: true });
  }

  /** @param {Props} props */
  update({ model, t }) {
    const present = new Map(model.notices.map((one) => [one.id, one]));
    for (const id of this.#away.keys()) if (!present.has(id)) this.#away.delete(id);
    for (const [id, notice] of present) {
      if (this.#away.get(id) === notice.text) present.delete(id);
    }
    for (const [id, { row }] of this.#rows) {
      if (present.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const notice of present.values()) this.#draw(notice, t);
    show(this.element, present.size > 0);
  }

  /** @param {Notice} notice @param {import("./strings.js").Translate} t */
  #draw(notice, t) {
    const row = this.#rows.get(notice.id) ?? this.#add(notice.id);
    set(row.row, "data-tone", notice.tone);
    turn(row.sign, SIGNS[notice.tone]);
    text(row.words, notice.text);
    show(row.act, notice.action !== null);
    set(row.act, "data-action", notice.action);
    text(row.act, t("retryNow"));
    show(row.away, notice.dismissable);
    set(row.away, "aria-label", t("dismiss"));
  }

  /** @param {string} id */
  #add(id) {
    const sign = icon("alert");
    const words = h("p", { class: "text", dir: "auto" });
    const act = actionButton({ class: "text-button" }, this.actions);
    const away = smallButton("close", () => {
      this.#away.set(id, words.textContent ?? "");
      row.remove();
      this.#rows.delete(id);
      show(this.element, this.#rows.size > 0);
    });
    const row = h("div", { class: "notice" }, sign, words, act, away);
    this.element.append(row);
    const parts = { row, sign, words, act, away };
    this.#rows.set(id, parts);
    return parts;
  }
}
