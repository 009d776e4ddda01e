// @ts-check
/** Carries out an agent's commands on this page, as far as its capabilities allow. */

import { pageContext } from "./context.js";
import { InvalidTarget, fieldsNamed, find, findForm, findForms, formId, isShown } from "./elements.js";
import { readExtras } from "./extras.js";
import { fill } from "./fill.js";
import { findControl, heldBackBy, isUsable } from "./flow.js";
import { MAX_ROUTES, linkedRoutes, safeUrl } from "./links.js";
import { isPrivate } from "./privacy.js";
import { DIRECTIONS, asBehavior, scrollPage, scrollTo } from "./scroll.js";
import { blocked, submit } from "./submit.js";
import { trimMessage } from "./trim.js";

/** @import { Message, Outcome, Reason } from "../client/types.js" */
/** @import { Extra, Extras } from "./extras.js" */
/** @import { Role } from "./flow.js" */
/** @import { Route } from "./links.js" */
/** @typedef {(extras: Extra | null) => unknown} ContextProvider the page's context as a JSON value, or a promise of it */
/** @typedef {readonly Route[] | (() => readonly Route[] | Promise<readonly Route[]>)} RouteSource */

/**
 * What depends on the page; asked again for each command.
 *
 * @typedef {object} PageRules
 * @property {() => {capabilities: readonly string[], max_message_bytes: number} | null} joined
 * @property {() => string | null} capabilities the element's own, null if it has none
 * @property {() => readonly string[]} origins other sites that an agent may send this page to
 * @property {() => ContextProvider | null} context
 * @property {() => Extras} extras what the page's script adds to the context
 * @property {() => RouteSource | null} routes
 * @property {(message: Message) => void} pending tells the agent that an answer takes longer
 */

const PENDING = 500; // milliseconds that the application's context may take before the agent is told to wait
const ROOM = 256; // bytes left for the envelope of a message

/** @type {Outcome} */
const DONE = { ok: true };

/** @param {Reason} reason @returns {Outcome} */
const no = (reason) => ({ ok: false, reason });

export class PageCommands {
  /**
   * @param {EventTarget} element where events are dispatched
   * @param {PageRules} rules
   */
  constructor(element, rules) {
    this.element = element;
    this.rules = rules;
  }

  /**
   * Carries one command out. The application sees it first, as `agent-command`, and may do it in
   * our place (`preventDefault`, then `detail.done(promise)` if it takes time).
   *
   * @param {Message} message
   * @returns {Promise<Outcome>}
   */
  async carryOut(message) {
    const command = commandOf(message.type);
    if (command === null || !this.allows(command.needs)) return no("capability");
    const taken = await this.offer("agent-command", { command: message.type, message });
    if (taken !== null) return taken;
    try {
      return await command.run(message, this);
    } catch (error) {
      if (error instanceof InvalidTarget) return no("invalid");
      throw error;
    }
  }

  /** @param {string} capability @returns {boolean} whether both the server and the element grant it */
  allows(capability) {
    return isAllowed(capability, this.rules.joined()?.capabilities ?? [], this.rules.capabilities());
  }

  /**
   * @param {string} name
   * @param {Record<string, unknown>} detail
   * @returns {Promise<Outcome | null>} null: the application did not take over
   */
  async offer(name, detail) {
    /** @type {unknown} */
    let work;
    const done = (/** @type {unknown} */ promise) => (work = promise);
    if (this.dispatch(name, { ...detail, done }, true)) return null;
    try {
      return (await work) === false ? no("failed") : DONE;
    } catch {
      return no("failed");
    }
  }

  /** @param {string} name @param {unknown} detail @param {boolean} cancelable */
  dispatch(name, detail, cancelable) {
    return this.element.dispatchEvent(new CustomEvent(name, { detail, cancelable, bubbles: true, composed: true }));
  }

  /**
   * @param {Message} message
   * @param {string} member what may be cut
   * @param {string | undefined} requestId
   */
  reply(message, member, requestId) {
    const limit = (this.rules.joined()?.max_message_bytes ?? 0) - ROOM;
    const whole = { ...message, ...(requestId === undefined ? {} : { requestId }) };
    return { ...DONE, replies: [trimMessage(whole, member, limit)] };
  }
}

/** @typedef {{needs: string, run: (message: Message, page: PageCommands) => Outcome | Promise<Outcome>}} Command */

/** What each command needs, as in livelayer_bus/messages, and does. @type {Record<string, Command>} */
const COMMANDS = {
  navigate: { needs: "navigate", run: navigate },
  scroll_to: { needs: "scroll", run: scrollToElement },
  scroll_page: { needs: "scroll", run: scrollDirection },
  click: { needs: "click", run: click },
  advance_step: { needs: "click", run: () => pressControl("advance") },
  go_back: { needs: "click", run: () => pressControl("back") },
  submit_flow: { needs: "click", run: () => pressControl("submit") },
  fill_form: { needs: "fill_forms", run: fillForm },
  focus_field: { needs: "fill_forms", run: focusField },
  submit_form: { needs: "submit_forms", run: submitForm },
  request_page_context: { needs: "read_page", run: replyContext },
  request_routes: { needs: "read_page", run: replyRoutes },
};

/**
 * @param {string} type of a message
 * @returns {Command | null} null: it is not a command
 */
export function commandOf(type) {
  if (type.startsWith("task_")) return { needs: "collect_data", run: collect };
  return Object.hasOwn(COMMANDS, type) ? COMMANDS[type] : null;
}

/**
 * Whether both the server and the element grant a capability. Without the attribute, an element
 * grants what the server does; with `capabilities=""`, it grants nothing.
 *
 * @param {string} capability
 * @param {readonly string[]} served
 * @param {string | null} own the attribute: words separated by white space or commas
 */
export function isAllowed(capability, served, own) {
  return served.includes(capability) && (own === null || own.split(/[\s,]+/).includes(capability));
}

/** @type {Command["run"]} */
async function navigate({ href }, page) {
  const url = safeUrl(href);
  if (url === null) return no("invalid");
  const taken = await page.offer("navigate", { href, url: url.href });
  if (taken !== null) return taken;
  const here = url.origin === location.origin;
  if (!here && !page.rules.origins().includes(url.origin)) return no("capability");
  if (url.href === location.href) return DONE;
  // The answer goes first: this page is gone afterwards.
  return { ...DONE, leave: () => location.assign(url.href) };
}

/** @type {Command["run"]} */
function scrollToElement({ selector, behavior }) {
  const element = find(selector);
  if (element === null) return no("failed");
  scrollTo(element, behavior);
  return DONE;
}

/** @type {Command["run"]} */
function scrollDirection({ direction, behavior }) {
  if (!DIRECTIONS.includes(direction)) return no("invalid");
  scrollPage(direction, behavior);
  return DONE;
}

/** @type {Command["run"]} */
function click({ selector }) {
  const element = find(selector);
  if (element === null || !isUsable(element)) return no("failed");
  // A click on a label changes its field.
  const control = element.closest("label")?.control ?? null;
  if (control !== null && isPrivate(control)) return no("failed");
  press(element);
  return DONE;
}

/** @param {HTMLElement} element */
function press(element) {
  element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  // An element of SVG has no method of its own.
  if (typeof element.click === "function") element.click();
  else element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, composed: true }));
}

/**
 * Presses a control that the page itself has for this. Where a field that is not valid holds it back,
 * the browser shows which one, and the agent hears it.
 *
 * @param {Role} role
 * @returns {Outcome}
 */
function pressControl(role) {
  const control = findControl(role);
  if (control === null) return no("failed");
  const form = heldBackBy(control);
  press(control);
  if (form === null) return DONE;
  return { ...no("failed"), replies: [{ ...blocked(form), formId: formId(form) }] };
}

/** @type {Command["run"]} */
function fillForm({ formId, values }) {
  if (typeof values !== "object" || values === null || Array.isArray(values)) return no("invalid");
  const form = findForm(formId);
  if (form === null) return no("failed");
  let whole = true;
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== "string") return no("invalid");
    whole = fill(fieldsNamed(form, name), value) && whole;
  }
  return whole ? DONE : no("failed");
}

/** @type {Command["run"]} */
function focusField({ formId, fieldName: name }) {
  if (typeof name !== "string" || name === "") return no("invalid");
  const form = findForm(formId);
  const field = form === null ? undefined : fieldsNamed(form, name).find(isShown);
  if (field === undefined) return no("failed");
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: "center", inline: "nearest", behavior: asBehavior(undefined) });
  return document.activeElement === field ? DONE : no("failed");
}

/** @type {Command["run"]} */
async function submitForm({ formId, requestId }) {
  const form = findForm(formId);
  if (form === null) return no("failed");
  const came = await submit(form);
  const reply = { ...came, formId, ...(requestId === undefined ? {} : { requestId }) };
  return { ...(came.type === "form_submit_blocked" ? no("failed") : DONE), replies: [reply] };
}

/** @type {Command["run"]} */
async function replyContext({ requestId }, page) {
  const provider = page.rules.context();
  const extras = page.rules.extras();
  if (provider === null) {
    const { context, truncated } = pageContext(extras);
    return page.reply({ type: "page_context", context, ...(truncated ? { truncated } : {}) }, "context", requestId);
  }
  const slow = setTimeout(() => page.rules.pending({ type: "page_context_pending" }), PENDING);
  try {
    return page.reply({ type: "page_context", context: await provider(readExtras(extras).extras) }, "context", requestId);
  } finally {
    clearTimeout(slow);
  }
}

/** @type {Command["run"]} */
async function replyRoutes({ requestId }, page) {
  const source = page.rules.routes();
  const found = source === null ? linkedRoutes() : typeof source === "function" ? await source() : source;
  const routes = [...found].filter((one) => typeof one === "string" || (typeof one === "object" && one !== null));
  const more = routes.length > MAX_ROUTES ? { truncated: true } : {};
  return page.reply({ type: "routes", routes: routes.slice(0, MAX_ROUTES), ...more }, "routes", requestId);
}

/**
 * Fills the fields that a collected value is about, in its form, else in the first form that has one.
 *
 * @param {{fieldId?: unknown, fieldName?: unknown, formId?: unknown, value?: unknown}} update
 */
function paint({ fieldId, fieldName: name, formId, value }) {
  const text = asText(value);
  const named = typeof formId === "string" && formId !== "";
  const forms = named ? [findForm(formId)] : [...findForms(), document.body];
  for (const wanted of [name, fieldId]) {
    if (text === null || typeof wanted !== "string" || wanted === "") continue;
    const fields = forms.map((form) => (form === null ? [] : fieldsNamed(form, wanted))).find((some) => some.length > 0);
    if (fields !== undefined) return void fill(fields, text);
  }
}

/** @param {unknown} value @returns {string | null} as `fill` takes it; null: it is not the value of a field */
function asText(value) {
  if (Array.isArray(value)) return value.every((one) => typeof one === "string") ? value.join(",") : null;
  if (typeof value === "object" && value !== null) return "amount" in value ? asText(value.amount) : null;
  return String(value ?? "");
}

/** @type {Command["run"]} */
function collect({ type, ...detail }, page) {
  if (type === "task_completed") page.dispatch("collected", detail.result, false);
  if (type === "task_field_updated") {
    page.dispatch("field", detail, false);
    // What a person entered is in the page already.
    if (detail.source !== "page" && page.allows("fill_forms")) paint(detail);
  }
  return DONE;
}
