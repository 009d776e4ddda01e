// @ts-check
/** The form: shows what is missing beside each field, and a thank-you text instead of sending data. */

import { announce, isTalking } from "./announce.js";

const FORM = "contact";

/** Handles the form of any page, now or later. */
export function serveForm() {
  // `invalid` does not bubble.
  document.addEventListener("invalid", (event) => refuse(event), true);
  document.addEventListener("submit", (event) => thank(event));
  document.addEventListener("input", ({ target }) => {
    if (!isField(target)) return;
    show(form(target), true);
    if (target.validity.valid) mark(target, "");
  });
  document.addEventListener("click", ({ target }) => {
    if (!(target instanceof Element) || !target.closest("[data-again]")) return;
    const again = document.getElementById(FORM);
    if (!(again instanceof HTMLFormElement)) return;
    again.reset();
    show(again, true);
    again.querySelector("input")?.focus();
  });
}

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */

/**
 * @param {EventTarget | null} target
 * @returns {target is Field}
 */
function isField(target) {
  const known =
    target instanceof HTMLInputElement ||
    target instanceof HTMLSelectElement ||
    target instanceof HTMLTextAreaElement;
  return known && target.form?.id === FORM;
}

/** @param {Event} event */
function refuse(event) {
  const field = event.target;
  if (!isField(field)) return;
  event.preventDefault(); // our message instead of the browser's
  const reason = field.validity.valueMissing
    ? "Please fill this in."
    : field.validity.typeMismatch
      ? "This does not look like an e-mail address."
      : field.validationMessage;
  mark(field, reason);
  if (field !== form(field).querySelector(":invalid")) return;
  announce(`${field.labels?.[0]?.textContent?.trim() ?? field.name}: ${reason}`);
  if (!isTalking()) field.focus();
}

/** @param {SubmitEvent} event */
function thank(event) {
  const sent = event.target;
  if (!(sent instanceof HTMLFormElement) || sent.id !== FORM) return;
  event.preventDefault();
  const name = String(new FormData(sent).get("name") ?? "").trim();
  const thanks = show(sent, false);
  const place = thanks?.querySelector("[data-thanks-name]");
  if (place) place.textContent = name ? `, ${name}` : "";
  announce("Thank you. The form has been sent.");
  if (!isTalking()) thanks?.focus();
}

/**
 * Shows the form, or the thank-you text in its place.
 *
 * @param {HTMLFormElement} element
 * @param {boolean} open
 */
function show(element, open) {
  const thanks = document.getElementById("thanks");
  element.hidden = !open;
  if (thanks) thanks.hidden = open;
  return thanks;
}

/**
 * @param {Field} field
 * @param {string} fault what is wrong with it; empty if it is valid
 */
function mark(field, fault) {
  field.toggleAttribute("aria-invalid", false);
  if (fault) field.setAttribute("aria-invalid", "true");
  const place = document.querySelector(`[data-fault-of="${CSS.escape(field.name)}"]`);
  if (place) place.textContent = fault;
}

/** @param {Field} field */
function form(field) {
  return /** @type {HTMLFormElement} */ (field.form);
}
