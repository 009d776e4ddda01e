// @ts-check
/** The controls that lead through a page of one or several steps, and the step that it shows. */

import { fieldsOf, findForms, isShown, labelOf, mark } from "./elements.js";
import { OWN, collapse, isPrivate, publicText } from "./privacy.js";

/** @typedef {"advance" | "back" | "submit"} Role */
/** @typedef {{id: `ll-${Role}`, label: string}} Control */
/**
 * @typedef {object} Flow
 * @property {"multi-step" | "single-page"} kind
 * @property {number} [currentStep] from 1
 * @property {number} [totalSteps]
 * @property {string} [stepLabel]
 * @property {Control} [advance]
 * @property {Control} [back]
 * @property {Control} [submit]
 */

const CONTROLS = "button, input:is([type=submit], [type=button], [type=image]), a[href], [role=button]";
const SUBMITS = "button:not([type]), button[type=submit], input:is([type=submit], [type=image])";
const ELSEWHERE = "nav, header, footer, aside, [role=navigation], [role=banner], [role=contentinfo], [role=complementary]";
const LABEL = 80; // characters

/** What people call each control, in lower case. @type {Record<Role, RegExp>} */
const WORDS = {
  advance: words(
    "(?:save (?:and|&) )?continue|next|proceed|weiter|fortfahren|suivant|continuer|siguiente|continuar|avanti|continua|volgende|verder|próximo|seguinte|dalej|nästa|næste|neste|další|ileri|devam|далее|продолжить|далі|التالي|متابعة|הבא|次へ|次に進む|下一步|下一頁|继续|繼續|다음|계속",
    "$|:| (?:to|step|page|zu|zum|zur|à|a) ?(?!.*\\b(?:shopping|browsing|reading|guest)\\b)",
  ),
  back: words(
    "(?:go )?back|previous|zurück|précédent|retour|anterior|atrás|volver|voltar|indietro|vorige|terug|wstecz|tillbaka|tilbage|tilbake|zpět|geri|назад|رجوع|السابق|חזרה|戻る|前へ|上一步|返回|이전|뒤로",
    "$| (?:to|step|page)\\b(?!.*\\b(?:top|home|homepage|shopping)\\b)",
  ),
  submit: words(
    "submit|send(?!.*\\b(?:code|again)\\b)|finish|complete|confirm|place (?:my |your )?order|pay|apply(?!.*\\b(?:coupon|code|promo|discount|voucher|filters?)\\b)|sign up|register|absenden|senden|abschicken|bestätigen|envoyer|enviar|confirmar|invia|conferma|verzenden|versturen|wyślij|skicka|odeslat|gönder|отправить|надіслати|إرسال|تأكيد|שלח|送信|提交|发送|送出|보내기|제출",
    "(?!\\p{L})",
  ),
};

/** @param {string} names @param {string} end what may follow them */
function words(names, end) {
  return new RegExp(`^(?:${names})(?:${end})`, "u");
}

const STEP = /\b(?:step|page|schritt|seite|étape|paso|passo|stap)\s+(\d{1,2})\s*(?:\/|of|von|sur|de|di|van)\s*(\d{1,2})\b/i;

/**
 * The control that a person would press: the author's own mark (the id `ll-<role>`, or
 * `data-ll-intent="<role>"`) first, else by its name in the page's main form, or else in its main
 * part, else the form's only submit button. Of several, one that submits the form comes first for
 * `submit`. It is visible, enabled, not private and not the widget's; while a modal dialog is open, it
 * is in there.
 *
 * @param {Role} role
 * @returns {HTMLElement | null}
 */
export function findControl(role) {
  const scope = openDialog();
  const marked = controls(scope ?? document).filter((one) => isMarked(one, role));
  if (marked.length > 0) return marked.find(isUsable) ?? null;
  const form = mainForm(scope);
  const own = form === null ? [] : controls(form).filter((one) => isUsable(one) && (scope?.contains(one) ?? true));
  const main = scope ?? document.querySelector("main, [role=main]") ?? document.body;
  const others = controls(main).filter((one) => isUsable(one) && one.closest(ELSEWHERE) === null && one.closest("form") === null);
  const all = [...own, ...others].filter((one) => WORDS[role].test(nameOf(one)));
  const named = (role === "submit" ? all.find((one) => own.includes(one) && one.matches(SUBMITS)) : undefined) ?? all[0];
  if (named !== undefined || role === "back") return named ?? null;
  // One with a name of its own, such as "Let's go": it leads on until the last step.
  const unnamed = own.filter((one) => one.matches(SUBMITS) && !Object.values(WORDS).some((words) => words.test(nameOf(one))));
  const { currentStep = 1, totalSteps = 1 } = step();
  return unnamed.length === 1 && (role === "advance") === currentStep < totalSteps ? unnamed[0] : null;
}

/** @returns {Flow | null} null: the page has no such control */
export function flow() {
  const found = Object.fromEntries(
    /** @type {Role[]} */ (["advance", "back", "submit"]).flatMap((role) => {
      const control = findControl(role);
      return control === null ? [] : [[role, { id: `ll-${role}`, label: labelFor(control) }]];
    }),
  );
  if (Object.keys(found).length === 0) return null;
  const at = step();
  const several = (at.totalSteps ?? 1) > 1 || found.advance !== undefined || found.back !== undefined;
  return { kind: several ? "multi-step" : "single-page", ...at, ...found };
}

/** @param {HTMLElement} control @returns {HTMLFormElement | null} the form that is not valid, which holds it back */
export function heldBackBy(control) {
  const form = control instanceof HTMLButtonElement || control instanceof HTMLInputElement ? control.form : null;
  if (form === null || form.noValidate || !control.matches(SUBMITS) || control.matches("[formnovalidate]")) return null;
  return form.checkValidity() ? null : form;
}

/** @param {Element} element @returns {boolean} */
export function isUsable(element) {
  return isShown(element) && !element.matches(":disabled, [aria-disabled=true]") && element.closest("[inert]") === null;
}

/** @param {ParentNode} root @returns {HTMLElement[]} */
function controls(root) {
  const found = /** @type {HTMLElement[]} */ ([...root.querySelectorAll(CONTROLS)]);
  return found.filter((one) => one instanceof HTMLElement && !isPrivate(one));
}

/** @param {HTMLElement} control @param {Role} role */
function isMarked(control, role) {
  return [control.id === `ll-${role}` ? role : "", mark(control, "intent")?.replace(/^ll-/, "")].includes(role);
}

/** @returns {Element | null} the dialog that keeps a person from the rest of the page */
function openDialog() {
  const open = [...document.querySelectorAll("dialog:modal, [aria-modal=true]")].filter((one) => isShown(one) && !one.matches(OWN));
  return open.at(-1) ?? null;
}

/** The form with the most fields that a person sees. @param {Element | null} scope that it is in, or is */
function mainForm(scope) {
  let [best, most] = [/** @type {HTMLElement | null} */ (null), 0];
  for (const form of findForms()) {
    if (scope !== null && !scope.contains(form) && !form.contains(scope)) continue;
    const seen = fieldsOf(form).filter(isShown).length;
    if (form.closest(ELSEWHERE) === null && seen > most) [best, most] = [form, seen];
  }
  return best;
}

/** @param {HTMLElement} control */
function labelFor(control) {
  const button = control instanceof HTMLInputElement ? control.value || control.alt : "";
  return (labelOf(control) || collapse(button) || publicText(control)).slice(0, LABEL);
}

/** @param {HTMLElement} control */
function nameOf(control) {
  return labelFor(control).toLowerCase().replace(/^[^\p{L}]+|[^\p{L}]+$/gu, "");
}

/** @returns {Pick<Flow, "currentStep" | "totalSteps" | "stepLabel">} */
function step() {
  const current = [...document.querySelectorAll("[aria-current=step]")].find((one) => isShown(one) && !isPrivate(one));
  if (current !== undefined) {
    const item = current.closest("li, [role=listitem]") ?? current;
    const all = [...(item.parentElement?.children ?? [])].filter((one) => one.tagName === item.tagName);
    const label = publicText(current, LABEL);
    return { currentStep: all.indexOf(item) + 1, totalSteps: all.length, ...(label ? { stepLabel: label } : {}) };
  }
  const main = document.querySelector("main, [role=main]") ?? document.body;
  const words = STEP.exec(publicText(main, 4000));
  if (words === null || Number(words[1]) > Number(words[2])) return {};
  const headings = [...main.querySelectorAll("legend, h1, h2, h3")].filter((one) => isShown(one) && !isPrivate(one));
  const label = headings.map((one) => publicText(one, LABEL)).find((text) => text !== "" && !STEP.test(text));
  return { currentStep: Number(words[1]), totalSteps: Number(words[2]), ...(label ? { stepLabel: label } : {}) };
}
