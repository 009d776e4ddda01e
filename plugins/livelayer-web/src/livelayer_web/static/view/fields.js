// @ts-check
/** The data that the agent collects: each field as it becomes known, then one result. */

import { h, set, show, text } from "./dom.js";

/** @import { Props } from "./types.js" */
/** @typedef {{name: string, value: string}} Field */

const KEPT = 60; // fields; a task that has more shows its latest ones
const LONGEST = 500; // characters of a value

/** The fields of one session, in the order in which they were first named. */
export class Fields {
  /** @type {Map<string, Field>} */
  known = new Map();
  done = false;
  summary = "";

  /** Handles any event of the session. @param {any} event */
  take(event) {
    if (event?.event === "EpochStarted" || event?.event === "TranscriptCleared") this.#reset();
    if (event?.event !== "CommandReceived") return;
    const payload = event.payload ?? {};
    if (event.command === "task_field_updated") this.#update(payload);
    if (event.command === "task_completed") this.#complete(payload.result ?? {});
  }

  /** @param {any} payload */
  #update({ fieldId, fieldName, value }) {
    if (this.done) this.#reset();
    const id = String(fieldId);
    this.known.set(id, { name: String(fieldName || fieldId), value: words(value) });
    if (this.known.size > KEPT) this.known.delete(/** @type {string} */ (this.known.keys().next().value));
  }

  /** @param {any} result */
  #complete({ results, summary }) {
    this.done = true;
    this.summary = typeof summary === "string" ? summary : "";
    for (const [id, value] of Object.entries(results ?? {}).slice(0, KEPT)) {
      const plain = /** @type {any} */ (value);
      const found = plain && typeof plain === "object" && "value" in plain ? plain.value : plain;
      const name = this.known.get(id)?.name ?? String(plain?.fieldName ?? id);
      this.known.set(id, { name, value: words(found) });
    }
  }

  #reset() {
    this.known = new Map();
    this.done = false;
    this.summary = "";
  }
}

/** The fields as a list, shown as soon as there is one. */
export class FieldList {
  constructor() {
    this.heading = h("h2", { class: "heading" });
    this.mark = h("span", { class: "done-mark", hidden: true });
    this.list = h("dl", { class: "known" });
    this.summary = h("p", { class: "summary", dir: "auto", hidden: true });
    this.element = h(
      "div",
      // Not a landmark: each surface of the session has one, and landmarks need distinct names.
      { class: "fields", part: "fields", role: "group", hidden: true, tabindex: "0" },
      h("div", { class: "row" }, this.heading, this.mark),
      this.list,
      this.summary,
    );
  }

  /** @param {Props} props @param {Fields | null} fields */
  update({ model, t }, fields) {
    show(this.element, model.live && (fields?.known.size ?? 0) > 0);
    text(this.heading, t("fields"));
    set(this.element, "aria-label", t("fields"));
    show(this.mark, fields?.done ?? false);
    text(this.mark, t("fieldsDone"));
    text(this.summary, fields?.summary ?? "");
    show(this.summary, Boolean(fields?.summary));
    const known = [...(fields?.known ?? [])];
    while (this.list.childElementCount > known.length) this.list.lastElementChild?.remove();
    known.forEach(([, { name, value }], index) => {
      const row =
        this.list.children[index] ??
        this.list.appendChild(h("div", {}, h("dt", { dir: "auto" }), h("dd", { dir: "auto" })));
      text(/** @type {Element} */ (row.firstElementChild), name);
      text(/** @type {Element} */ (row.lastElementChild), value || t("fieldEmpty"));
      row.classList.toggle("blank", value === "");
    });
  }
}

/** @param {unknown} value */
function words(value) {
  if (value === null || value === undefined) return "";
  const plain = typeof value === "string" ? value : JSON.stringify(value);
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST)}…` : plain;
}
