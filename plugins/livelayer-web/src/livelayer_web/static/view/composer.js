// @ts-check
/** The composer: a field that grows, its limit in bytes, and messages that are not sent yet. */

import { messageBytes } from "../client/outbox.js";
import { actionButton } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon } from "./icons.js";
import { PendingMessages } from "./pending-messages.js";

/** @import { PanelActions, Props } from "./types.js" */

const NEARLY_FULL = 0.8; // of the limit: from here on the rest is shown
const EMPTY = messageBytes("");

export class Composer {
  /** @type {PanelActions} */
  #actions;
  /** @type {Props | null} */
  #props = null;

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.#actions = actions;
    this.field = h("textarea", {
      rows: 1,
      enterkeyhint: "send",
      autocomplete: "off",
      "aria-describedby": "limit",
      oninput: () => this.#measure(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        // Enter that accepts an input method's suggestion does not send; Safari ends the
        // composition before that event, and marks it with this code alone.
        if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
        event.preventDefault();
        this.#send();
      },
    });
    this.button = h("button", { class: "send", part: "send", type: "submit" }, icon("send"));
    this.limit = h("p", { class: "limit", id: "limit", hidden: true });
    this.pending = new PendingMessages();
    this.stop = actionButton({ class: "stop", part: "button interrupt", "data-action": "interrupt" }, actions);
    this.stop.append(icon("stop"));
    this.form = h(
      "form",
      {
        class: "composer",
        part: "composer",
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          this.#send();
        },
      },
      this.field,
      this.stop,
      this.button,
    );
    this.element = h("div", { class: "writing" }, this.pending, this.form, this.limit);
  }

  /** @param {Props} props */
  update(props) {
    this.#props = props;
    const { client, model, t } = props;
    const writable = model.writes;
    // Who only watches is told so; who may talk, but not type, needs no field.
    show(this.form, writable || (model.live && !model.talk));
    show(this.element, !this.form.hidden || (client?.pending.length ?? 0) > 0);
    set(this.field, "aria-label", t("composerLabel", { name: model.name }));
    set(this.button, "aria-label", t("send"));
    set(this.stop, "aria-label", t("interrupt", { name: model.name }));
    show(this.stop, model.interruptible);
    const hint = model.talk ? "composerLabel" : "composerReadOnly";
    set(this.field, "placeholder", t(hint, { name: model.name }));
    // Read-only rather than disabled: what was typed stays there, and so does the focus.
    set(this.field, "readonly", !writable);
    this.form.classList.toggle("off", !writable);
    this.pending.update(props);
    this.#measure();
  }

  #measure() {
    if (this.#props === null) return;
    const { client, model, t } = this.#props;
    const limit = client?.joined?.max_message_bytes ?? Infinity;
    const size = messageBytes(this.field.value);
    const left = limit - size;
    show(this.limit, size > limit * NEARLY_FULL);
    text(this.limit, left < 0 ? t("tooLong", { count: -left }) : t("bytesLeft", { count: left }));
    // An empty field shows a hint in the page's direction; typed text has its own.
    set(this.field, "dir", size > EMPTY ? "auto" : null);
    this.limit.classList.toggle("over", left < 0);
    set(this.field, "aria-invalid", left < 0 ? "true" : null);
    const ready = this.field.value.trim() !== "" && left >= 0 && model.writes;
    // aria-disabled keeps the button focusable: sending empties the field under the focus.
    set(this.button, "aria-disabled", ready ? null : "true");
  }

  #send() {
    const words = this.field.value.trim();
    if (words === "" || this.button.getAttribute("aria-disabled") === "true") return;
    this.#actions.say(words);
    this.field.value = "";
    this.#measure();
    this.field.focus();
  }
}
