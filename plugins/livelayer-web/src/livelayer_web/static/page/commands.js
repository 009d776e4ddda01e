// @ts-check
/** Carries out an agent's commands on this page, as far as its capabilities allow. */

import { allowed, capabilityOf } from "./capabilities.js";
import { pageContext } from "./context.js";
import { InvalidTarget, fieldsNamed, find, findForm, isShown } from "./elements.js";
import { fill } from "./fill.js";
import { MAX_ROUTES, linkedRoutes } from "./links.js";
import { safeUrl } from "./href.js";
import { isPrivate } from "./privacy.js";
import { DIRECTIONS, asBehavior, scrollPage, scrollTo } from "./scroll.js";
import { submit } from "./submit.js";
import { trimMessage } from "./trim.js";

/** @import { Message, Outcome, Reason } from "../client/types.js" */
/** @import { Route } from "./links.js" */
/** @typedef {() => unknown} ContextProvider the page's context as a JSON value, or a promise of it */
/** @typedef {readonly Route[] | (() => readonly Route[] | Promise<readonly Route[]>)} RouteSource */

/**
 * What depends on the page; asked again for each command.
 *
 * @typedef {object} PageRules
 * @property {() => {capabilities: readonly string[], max_message_bytes: number} | null} joined
 * @property {() => string | null} capabilities the element's own, null if it has none
 * @property {() => readonly string[]} origins other sites that an agent may send this page to
 * @property {() => ContextProvider | null} context
 * @property {() => RouteSource | null} routes
 * @property {(message: Message) => void} pending tells the agent that an answer takes longer
 */

const PENDING = 500; // milliseconds that the application's context may take before the agent is told to wait
const ROOM = 256; // bytes left for the envelope of a message

/** @type {Outcome} */
const DONE = { ok: true };

/**
 * @param {Reason} reason
 * @returns {Outcome}
 */
const no = (reason) => ({ ok: false, reason });

export class PageCommands {
  /**
   * @param {HTMLElement} element where events are dispatched
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
    const capability = capabilityOf(message.type);
    const joined = this.rules.joined();
    const may = allowed(joined?.capabilities ?? [], this.rules.capabilities());
    if (capability === null || !may.has(capability)) return no("capability");
    const taken = await this.#offer("agent-command", { command: message.type, message });
    if (taken !== null) return taken;
    try {
      return await this.#do(message);
    } catch (error) {
      if (error instanceof InvalidTarget) return no("invalid");
      throw error;
    }
  }

  /** @param {Message} message */
  #do(message) {
    switch (message.type) {
      case "navigate":
        return this.#navigate(message.href);
      case "scroll_to":
        return withElement(message.selector, (element) => scrollTo(element, message.behavior));
      case "scroll_page":
        if (!DIRECTIONS.includes(message.direction)) return no("invalid");
        scrollPage(message.direction, message.behavior);
        return DONE;
      case "click":
        return click(message.selector);
      case "fill_form":
        return fillForm(message.formId, message.values);
      case "focus_field":
        return focusField(message.formId, message.fieldName);
      case "submit_form":
        return this.#submit(message);
      case "request_page_context":
        return this.#context(message);
      case "request_routes":
        return this.#routes(message);
      default:
        return this.#collect(message);
    }
  }

  /** @param {unknown} href */
  async #navigate(href) {
    const url = safeUrl(href);
    if (url === null) return no("invalid");
    const taken = await this.#offer("navigate", { href, url: url.href });
    if (taken !== null) return taken;
    const here = url.origin === location.origin;
    if (!here && !this.rules.origins().includes(url.origin)) return no("capability");
    if (url.href === location.href) return DONE;
    // The answer goes first: this page is gone afterwards.
    return { ...DONE, leave: () => location.assign(url.href) };
  }

  /** @param {Message} message */
  async #submit({ formId, requestId }) {
    const form = findForm(formId);
    if (form === null) return no("failed");
    const came = await submit(form);
    const about = { formId, ...(requestId === undefined ? {} : { requestId }) };
    if (came === "submitted") return { ...DONE, replies: [{ type: "form_submitted", ...about }] };
    return { ...no("failed"), replies: [{ type: "form_submit_blocked", ...about, reason: came }] };
  }

  /** @param {Message} message */
  async #context({ requestId }) {
    const provider = this.rules.context();
    if (provider === null) {
      const { context, truncated } = pageContext();
      return this.#reply({ type: "page_context", context, ...(truncated ? { truncated } : {}) }, "context", requestId);
    }
    const slow = setTimeout(() => this.rules.pending({ type: "page_context_pending" }), PENDING);
    try {
      return this.#reply({ type: "page_context", context: await provider() }, "context", requestId);
    } finally {
      clearTimeout(slow);
    }
  }

  /** @param {Message} message */
  async #routes({ requestId }) {
    const source = this.rules.routes();
    const found = source === null ? linkedRoutes() : typeof source === "function" ? await source() : source;
    const routes = [...found].filter((one) => typeof one === "string" || (typeof one === "object" && one !== null));
    const more = routes.length > MAX_ROUTES ? { truncated: true } : {};
    return this.#reply({ type: "routes", routes: routes.slice(0, MAX_ROUTES), ...more }, "routes", requestId);
  }

  /**
   * @param {Message} message
   * @param {string} member what may be cut
   * @param {string | undefined} requestId
   */
  #reply(message, member, requestId) {
    const limit = (this.rules.joined()?.max_message_bytes ?? 0) - ROOM;
    const whole = { ...message, ...(requestId === undefined ? {} : { requestId }) };
    return { ...DONE, replies: [trimMessage(whole, member, limit)] };
  }

  /** @param {Message} message */
  #collect(message) {
    const { type, ...detail } = message;
    const name = type === "task_completed" ? "collected" : type === "task_field_updated" ? "field" : null;
    if (name !== null) this.#dispatch(name, type === "task_completed" ? detail.result : detail, false);
    return DONE;
  }

  /**
   * @param {string} name
   * @param {Record<string, unknown>} detail
   * @returns {Promise<Outcome | null>} null: the application did not take over
   */
  async #offer(name, detail) {
    /** @type {unknown} */
    let work;
    const done = (/** @type {unknown} */ promise) => (work = promise);
    if (this.#dispatch(name, { ...detail, done }, true)) return null;
    try {
      return (await work) === false ? no("failed") : DONE;
    } catch {
      return no("failed");
    }
  }

  /**
   * @param {string} name
   * @param {unknown} detail
   * @param {boolean} cancelable
   */
  #dispatch(name, detail, cancelable) {
    return this.element.dispatchEvent(new CustomEvent(name, { detail, cancelable, bubbles: true, composed: true }));
  }
}

/**
 * @param {unknown} selector
 * @param {(element: HTMLElement) => void} act
 */
function withElement(selector, act) {
  const element = find(selector);
  if (element === null) return no("failed");
  act(element);
  return DONE;
}

/** @param {unknown} selector */
function click(selector) {
  const element = find(selector);
  if (element === null || !isShown(element) || element.matches(":disabled, [aria-disabled=true]")) return no("failed");
  // A click on a label changes its field.
  const control = element.closest("label")?.control ?? null;
  if (control !== null && isPrivate(control)) return no("failed");
  element.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  press(element);
  return DONE;
}

/** @param {HTMLElement} element */
function press(element) {
  if (typeof element.click === "function") element.click();
  else element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, composed: true }));
}

/**
 * @param {unknown} formId
 * @param {unknown} values
 */
function fillForm(formId, values) {
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

/**
 * @param {unknown} formId
 * @param {unknown} name
 */
function focusField(formId, name) {
  if (typeof name !== "string" || name === "") return no("invalid");
  const form = findForm(formId);
  const field = form === null ? undefined : fieldsNamed(form, name).find(isShown);
  if (field === undefined) return no("failed");
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: "center", inline: "nearest", behavior: asBehavior(undefined) });
  return document.activeElement === field ? DONE : no("failed");
}
