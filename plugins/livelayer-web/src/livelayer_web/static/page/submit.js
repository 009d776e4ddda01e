// @ts-check
/** Submits a form as its button would, and watches the page for what became of it. */

import { invalidFields } from "./context.js";
import { fieldsOf, isShown } from "./elements.js";
import { publicText } from "./privacy.js";

/** @typedef {"validation" | "exception"} Blocked */
/** @typedef {"form_removed" | "form_reset" | "success_text"} Sign */
/**
 * A message to the agent, without the form's id.
 *
 * @typedef {{type: "form_submitted", reason?: Sign}
 *   | {type: "form_submit_blocked", reason: Blocked, invalidFields?: string[]}
 *   | {type: "form_submit_uncertain", reason: "spa_prevented"}} Submission
 */

const WATCH = 2000; // milliseconds that a page has to show what became of a form
const LOOK = 100; // milliseconds between two looks
const TEXT = 20_000; // characters of the page that are compared
const SUCCESS =
  /\b(?:thank you|thanks|success|successfully|(?:has|have) been (?:sent|received|submitted|saved)|submitted|message sent|you(?:'|’)re (?:in|all set)|vielen dank|danke|erfolgreich|merci|gracias|grazie|bedankt|obrigad[oa])\b/giu;

/**
 * Submits if the form validates. A script that prevents the native submission proves nothing by
 * that: the page is then watched for two seconds.
 *
 * @param {HTMLElement} target a form, or an element that is marked as one
 * @returns {Promise<Submission>}
 */
export async function submit(target) {
  if (!(target instanceof HTMLFormElement)) return press(target);
  const button = submitter(target);
  const unchecked = target.noValidate || (button?.formNoValidate ?? false);
  if (!unchecked && !target.checkValidity()) {
    target.reportValidity();
    return blocked(target);
  }
  const before = new Before(target);
  const watch = new AbortController();
  const { signal } = watch;
  let seen = /** @type {SubmitEvent | null} */ (null);
  let threw = false;
  // Handlers run within requestSubmit; what they throw is reported within it too.
  addEventListener("error", () => (threw = true), { signal, capture: true });
  addEventListener("submit", (event) => event.target === target && (seen = event), { signal, capture: true });
  try {
    target.requestSubmit(button);
  } catch {
    threw = true;
  } finally {
    watch.abort();
  }
  if (threw) return { type: "form_submit_blocked", reason: "exception" };
  if (seen === null) return blocked(target);
  if (!(/** @type {SubmitEvent} */ (seen).defaultPrevented)) return { type: "form_submitted" };
  return before.watch();
}

/** @param {HTMLElement} form @returns {Submission} */
export function blocked(form) {
  const fields = invalidFields(form);
  return { type: "form_submit_blocked", reason: "validation", ...(fields.length > 0 ? { invalidFields: fields } : {}) };
}

/** @param {HTMLFormElement} form @returns {HTMLButtonElement | HTMLInputElement | null} */
function submitter(form) {
  for (const one of form.elements) {
    const button = one instanceof HTMLButtonElement || (one instanceof HTMLInputElement && one.type === "submit");
    if (button && one.type === "submit" && !one.disabled) return one;
  }
  return null;
}

/**
 * @param {HTMLElement} target fields without a form, but with a button
 * @returns {Promise<Submission>}
 */
async function press(target) {
  const button = target.querySelector("button[type=submit], input[type=submit], button:not([type])");
  if (!(button instanceof HTMLElement) || button.matches(":disabled")) return { type: "form_submit_blocked", reason: "exception" };
  const before = new Before(target);
  button.click();
  return before.watch();
}

/** A form and its page before it is submitted. */
class Before {
  /** @param {HTMLElement} form */
  constructor(form) {
    this.form = form;
    this.shown = isShown(form);
    this.errors = errors(form);
    this.successes = successes();
    const filled = fieldsOf(form).filter(isText).map((field) => ({ field, value: valueOf(field), original: originalOf(field) }));
    const changed = filled.filter(({ value, original }) => value !== original);
    this.filled = (changed.length > 0 ? changed : filled).filter(({ value }) => value !== "");
  }

  /** @returns {Promise<Submission>} */
  async watch() {
    const end = performance.now() + WATCH;
    const watch = new AbortController();
    let left = false;
    // A script may go to another page.
    const leaving = new Promise((resolve) => addEventListener("pagehide", resolve, { signal: watch.signal }));
    void leaving.then(() => (left = true));
    try {
      for (;;) {
        await Promise.race([leaving, new Promise((resolve) => setTimeout(resolve, LOOK))]);
        const sign = left ? "form_removed" : this.sign();
        if (sign !== null) return { type: "form_submitted", reason: sign };
        if (errors(this.form).some((one) => !this.errors.includes(one))) return blocked(this.form);
        if (performance.now() < end) continue;
        if (this.form.querySelector("[aria-invalid=true]") !== null) return blocked(this.form);
        return { type: "form_submit_uncertain", reason: "spa_prevented" };
      }
    } finally {
      watch.abort();
    }
  }

  /** @returns {Sign | null} */
  sign() {
    if (!this.form.isConnected || (this.shown && !isShown(this.form))) return "form_removed";
    if (this.form.querySelector("[aria-invalid=true]") !== null) return null;
    const empty = this.filled.every(({ field, value, original }) => {
      const now = valueOf(field);
      return now === "" || (now === original && value !== original);
    });
    if (empty && this.filled.length > 0) return "form_reset";
    return successes() > this.successes ? "success_text" : null;
  }
}

/** @param {HTMLElement} field */
function isText(field) {
  if (field instanceof HTMLInputElement) return !["checkbox", "radio", "submit", "button", "reset", "image", "range", "color"].includes(field.type);
  return field instanceof HTMLTextAreaElement || field.isContentEditable;
}

/** @param {HTMLElement} field */
function valueOf(field) {
  return "value" in field ? String(field.value) : (field.textContent ?? "");
}

/** @param {HTMLElement} field */
function originalOf(field) {
  return "defaultValue" in field ? String(field.defaultValue) : "";
}

/**
 * What says that something is wrong: fields that are marked, those with a message of the page's
 * own, and alerts.
 *
 * @param {HTMLElement} form
 * @returns {unknown[]}
 */
function errors(form) {
  const refused = fieldsOf(form).filter((field) => "validity" in field && /** @type {ValidityState} */ (field.validity).customError);
  const alerts = [...form.querySelectorAll("[role=alert]")].map((one) => publicText(one)).filter(Boolean);
  return [...form.querySelectorAll("[aria-invalid=true]"), ...refused, ...alerts];
}

function successes() {
  return publicText(document.body, TEXT).match(SUCCESS)?.length ?? 0;
}
