// @ts-check
/** Requests to the server: the key in a header, a time limit, problems as errors. */

import { SessionError } from "./errors.js";

/**
 * @typedef {object} Request
 * @property {unknown} [json]
 * @property {string} [text]
 * @property {string} [type] of `text`
 * @property {string | null} [bearer] instead of the key
 * @property {Record<string, string>} [headers]
 * @property {number} [limit] seconds until the answer is read; for `send`, its head
 * @property {boolean} [keepalive] outlives the page
 * @property {AbortSignal} [signal]
 */

const LIMIT = 8; // seconds

export class Http {
  /** The viewer's key, once there is one. @type {string | null} */
  key = null;

  /** @param {string} base an address, relative to the document's or absolute */
  constructor(base) {
    this.base = new URL(base.replace(/\/+$/, ""), document.baseURI).href;
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
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: end.signal,
      });
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
  #content({ json, text, type, bearer = this.key, headers = {} }) {
    /** @type {Record<string, string>} */
    const all = { ...headers };
    if (bearer) all.authorization = `Bearer ${bearer}`;
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
  // Every refusal has a body; a head that broke off counts as whole, and as an answer without one.
  if (text === "") return new SessionError("network", "the answer broke off", { retryAfter });
  const value = parse(text);
  if (typeof value?.code !== "string") {
    return new SessionError("http", `the answer was ${status}`, { status, retryAfter });
  }
  const detail = typeof value.detail === "string" ? value.detail : String(value.title ?? "");
  return new SessionError(value.code, detail, { status, retryAfter });
}

/** @param {string} text @returns {any} undefined if it is not JSON */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
