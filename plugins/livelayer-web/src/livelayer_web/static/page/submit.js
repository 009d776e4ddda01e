// @ts-check
/** Submits a form as its button would, and reports the outcome. */

/** @typedef {"submitted" | "validation" | "exception"} Submission */

/**
 * Submits if the form validates. If the page validates by itself and sets
 * `aria-invalid`, the form counts as blocked.
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
    return "validation";
  }
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
  if (threw) return "exception";
  if (seen === null) return "validation";
  if (!(/** @type {SubmitEvent} */ (seen).defaultPrevented)) return "submitted";
  await painted();
  return isMarked(target) ? "validation" : "submitted";
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
  if (!(button instanceof HTMLElement) || button.matches(":disabled")) return "exception";
  button.click();
  await painted();
  return isMarked(target) ? "validation" : "submitted";
}

/** @param {HTMLElement} form */
function isMarked(form) {
  return form.isConnected && form.querySelector("[aria-invalid=true]") !== null;
}

/**
 * Waits for the page's immediate reaction; at most 100 ms, since a hidden page does not paint.
 *
 * @returns {Promise<void>}
 */
function painted() {
  return new Promise((resolve) => {
    setTimeout(resolve, 100);
    requestAnimationFrame(() => setTimeout(resolve, 0));
  });
}
