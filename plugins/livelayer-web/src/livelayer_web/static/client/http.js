// @ts-check
/** Requests to the server: the key in a header, a time limit, problems as errors. */

import { SessionError } from "./errors.js";

/**
 * @typedef {object} Request
 * @property {unknown} [json]
 * @property {string} [text]
 * @property {string} [type] of `text`
 * @property {string | null} [key] instead of the viewer's
 * @property {Record<string, string>} [headers]
 * @property {number} [limit] seconds until the answer is read; for `send`, its head
 * @property {boolean} [keepalive] outlives the page
 * @property {AbortSignal} [signal]
 */

const LIMIT = 8; // seconds

const KEY = "x-livelayer-key"; // `Authorization` belongs to the site's own login
const MODULES = "/js/"; // below a surface's base

/**
 * Where a surface is mounted: what these modules were loaded from, so that a page needs not know
 * the prefix that a proxy adds.
 *
 * @returns {string}
 */
export function ownBase() {
  const at = import.meta.url.lastIndexOf(MODULES);
  return at < 0 ? "/livelayer" : import.meta.url.slice(0, at);
}

export class Http {
  /** The viewer's key, once there is one. @type {string | null} */
  key = null;

  /** @param {string} base an address, relative to the document's or absolute */
  constructor(base) {
    this.base = new URL(base, document.baseURI).href.replace(/\/+$/, "");
  }

  /**
   * The answer, whose status is below 400.
   *
   * @param {string} method
   * @param {string} path below the base
   * @param {Request} [request]
   * @returns {Promise<Response>}
   * @throws {SessionError}
   */
  send(method, path, request = {}) {
    return this.ask(method, path, request, async (answer) => answer);
  }

  /**
   * The answer's JSON value, or null if there is none.
   *
   * @param {string} method
   * @param {string} path
   * @param {Request} [request]
   * @returns {Promise<any>}
   * @throws {SessionError}
   */
  json(method, path, request = {}) {
    return this.ask(method, path, request, async (answer) => {
      const text = await answer.text();
      const value = text === "" ? null : parse(text);
      if (value === undefined) throw new SessionError("http", "the answer is not JSON", { status: answer.status });
      return value;
    });
  }

  /**
   * What is read of the answer, within the time limit.
   *
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {Request} request
   * @param {(answer: Response) => Promise<T>} read
   * @returns {Promise<T>}
   * @throws {SessionError}
   */
  async ask(method, path, request, read) {
    const { limit = LIMIT, keepalive = false, signal } = request;
    const end = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      end.abort();
    }, limit * 1000);
    if (signal?.aborted) end.abort();
    signal?.addEventListener("abort", () => end.abort(), { once: true, signal: end.signal });
    try {
      const answer = await fetch(`${this.base}/${path}`, {
        method,
        ...this.#content(request),
        keepalive,
        cache: "no-store",
        credentials: "same-origin", // for the login of a proxy in front; no route of ours reads them
        redirect: "manual",
        referrerPolicy: "no-referrer",
        signal: end.signal,
      });
      if (answer.type === "opaqueredirect") throw login("a redirect");
      if (!answer.ok) throw await problem(answer);
      return await read(answer);
    } catch (error) {
      if (error instanceof SessionError) throw error;
      if (signal?.aborted) throw new SessionError("closed", "the page ended this request");
      if (late) throw new SessionError("timeout", "the server does not answer");
      throw new SessionError("network", "the server cannot be reached");
    } finally {
      clearTimeout(timer); // the caller's signal still aborts a body that is being read
    }
  }

  /** @param {Request} request @returns {{headers: Record<string, string>, body?: string}} */
  #content({ json, text, type, key = this.key, headers = {} }) {
    /** @type {Record<string, string>} */
    const all = { ...headers };
    if (key) all[KEY] = key;
    if (json !== undefined) return { headers: { ...all, "content-type": "application/json" }, body: JSON.stringify(json) };
    if (text !== undefined) return { headers: { ...all, "content-type": type ?? "text/plain" }, body: text };
    return { headers: all };
  }
}

/**
 * @param {Response} answer
 * @returns {Promise<SessionError>}
 * @throws its body did not arrive: what the server refuses, and why, is not known
 */
async function problem(answer) {
  const { status } = answer;
  const wait = Number(answer.headers.get("retry-after") ?? Number.NaN);
  const retryAfter = Number.isFinite(wait) ? wait : null;
  const text = await answer.text();
  const ours = answer.headers.get("content-type")?.startsWith("application/problem+json");
  if (status === 401 && !ours) return login("401");
  // Every refusal has a body; a head that broke off counts as whole, and as an answer without one.
  if (text === "") return new SessionError("network", "the answer broke off", { retryAfter });
  const value = parse(text);
  if (typeof value?.code !== "string") {
    return new SessionError("http", `the answer was ${status}`, { status, retryAfter });
  }
  const detail = typeof value.detail === "string" ? value.detail : String(value.title ?? "");
  const instance = answer.headers.get("x-livelayer-instance");
  return new SessionError(value.code, detail, { status, retryAfter, instance });
}

/** @param {string} answer that is not the server's @returns {SessionError} */
function login(answer) {
  const detail = `the answer was ${answer}, as of a site's own login: log in again, and reload the page`;
  return new SessionError("login", detail, { status: 401 });
}

/** @param {string} text @returns {any} undefined if it is not JSON */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
