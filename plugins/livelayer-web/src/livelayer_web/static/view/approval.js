// @ts-check
/** What the agent asks a person to approve: one question at a time, until one surface has answered. */

import { quietly } from "./controls.js";
import { h, set, show, takesText, text } from "./dom.js";

/** @import { Client, Props } from "./types.js" */

const ARMED = 500; // ms after which Approve can be pressed: a press before was meant for what was there

/** The cards of each client. @type {WeakMap<Client, Set<ApprovalCard>>} */
const cards = new WeakMap();

export class ApprovalCard {
  /** @type {Client | null} */
  #client = null;
  #awake = false;
  /** The question that is shown. @type {number | null} */
  #number = null;
  /** Where the focus was, if this took it. @type {HTMLElement | null} */
  #before = null;
  #owed = false;
  #timer = 0;

  constructor() {
    /** @param {string} kind @param {boolean} approved */
    const button = (kind, approved) =>
      h("button", { type: "button", class: `answer ${kind}`, part: `button ${kind}`, onclick: () => this.answer(approved) });
    this.title = h("p", { class: "title", id: "approval-title" });
    this.question = h("p", { class: "text", dir: "auto", id: "approval-question" });
    this.details = h("p", { class: "details", dir: "auto", id: "approval-details" });
    this.asked = h("div", { class: "asked" }, this.question, this.details);
    this.refuse = button("refuse", false);
    this.approve = button("approve", true);
    this.element = h(
      "div",
      {
        class: "approval",
        part: "approval",
        role: "alertdialog",
        "aria-labelledby": "approval-title",
        "aria-describedby": "approval-question approval-details",
        hidden: true,
      },
      this.title,
      this.asked,
      h("div", { class: "answers" }, this.refuse, this.approve),
    );
  }

  get open() {
    return this.#number !== null;
  }

  /** Whether another surface of the page shows the question. */
  get isElsewhere() {
    const all = (this.#client && cards.get(this.#client)) ?? [];
    return [...all].some((card) => card !== this && card.open && card.#awake);
  }

  /** @param {Props} props */
  update({ client, model, t, choices, awake, widget }) {
    this.#follow(client);
    this.#awake = awake;
    const asked = (!widget || choices.display === "expanded" ? client?.approvals?.[0] : null) ?? null;
    text(this.title, t("approvalTitle", { name: model.name }));
    text(this.refuse, t("refuse"));
    text(this.approve, t("approve"));
    if (asked !== null) {
      text(this.question, asked.question);
      text(this.details, asked.details ?? "");
      show(this.details, Boolean(asked.details));
    }
    const number = asked?.number ?? null;
    show(this.element, number !== null);
    // What has to be scrolled can be reached by keys.
    const { scrollHeight, clientHeight } = this.asked;
    set(this.asked, "tabindex", scrollHeight > clientHeight + 1 ? "0" : null);
    if (number === this.#number) {
      this.#takeFocus();
      return;
    }
    this.#number = number;
    clearTimeout(this.#timer);
    if (number === null) this.#giveBack();
    else this.#ask();
  }

  /** @param {boolean} approved */
  answer(approved) {
    const number = this.#number;
    if (number === null || (approved && this.approve.disabled)) return;
    this.#client?.markUsed();
    quietly(this.#client?.answerApproval(number, approved));
  }

  release() {
    clearTimeout(this.#timer);
    this.#follow(null);
  }

  /** @param {Client | null} client */
  #follow(client) {
    if (client === this.#client) return;
    if (this.#client) cards.get(this.#client)?.delete(this);
    this.#client = client;
    if (client) cards.set(client, (cards.get(client) ?? new Set()).add(this));
  }

  #ask() {
    set(this.approve, "disabled", true);
    this.#timer = setTimeout(() => {
      set(this.approve, "disabled", false);
      this.#takeFocus();
    }, ARMED);
    const focused = deepest();
    // A person who types, here or elsewhere on the page, goes on; the question is announced.
    this.#owed = !takesText(focused) && (focused === null || this.#near(focused));
    if (this.#owed) this.#before ??= focused;
    this.#takeFocus();
  }

  /** Focuses Refuse, once it is on display: a page that loads may have no style sheet yet. */
  #takeFocus() {
    if (!this.#owed) return;
    this.refuse.focus({ preventScroll: true });
    this.#owed = deepest() !== this.refuse;
  }

  #giveBack() {
    const before = this.#before;
    this.#before = null;
    this.#owed = false;
    const lost = deepest();
    if (before?.isConnected && (lost === null || this.element.contains(lost))) before.focus({ preventScroll: true });
  }

  /** Whether an element is in the same panel. @param {Element} element */
  #near(element) {
    return element.getRootNode() === this.element.getRootNode();
  }
}

/** The element with the focus, in whatever shadow tree; null: the page itself. @returns {HTMLElement | null} */
function deepest() {
  let found = document.activeElement;
  while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
  return found instanceof HTMLElement && found !== document.body ? found : null;
}
