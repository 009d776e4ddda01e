// @ts-check
/** Submitting a form as its button would, and telling what came of it. */

/** @typedef {"submitted" | "validation" | "exception"} Submission */

/**
 * Submits if the form validates. A page that checks for itself, and marks what is wrong with
 * `aria-invalid`, is believed.
 *
 * @param {HTMLElement} target a form, or what stands for one
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

/**
 * @param {HTMLFormElement} form
 * @returns {HTMLButtonElement | HTMLInputElement | null}
 */
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
 * What the page does about it at once is done. A hidden page paints nothing: it is not waited for.
 *
 * @returns {Promise<void>}
 */
function painted() {
  return new Promise((resolve) => {
    setTimeout(resolve, 100);
    requestAnimationFrame(() => setTimeout(resolve, 0));
  });
}
