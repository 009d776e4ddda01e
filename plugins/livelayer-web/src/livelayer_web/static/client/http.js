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
 * @property {number} [limit] seconds until the answer's head
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
  async send(method, path, request = {}) {
    const { limit = LIMIT, keepalive = false, signal } = request;
    const time = new AbortController();
    const timer = setTimeout(() => time.abort(), limit * 1000);
    try {
      const answer = await fetch(`${this.base}/${path}`, {
        method,
        ...this.#content(request),
        keepalive,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        signal: signal ? AbortSignal.any([signal, time.signal]) : time.signal,
      });
      if (!answer.ok) throw await problem(answer);
      return answer;
    } catch (error) {
      if (error instanceof SessionError) throw error;
      if (signal?.aborted) throw new SessionError("closed", "the page ended this request");
      if (time.signal.aborted) throw new SessionError("timeout", "the server does not answer");
      throw new SessionError("network", "the server cannot be reached");
    } finally {
      clearTimeout(timer); // the caller's signal still aborts a body that is being read
    }
  }

  /**
   * The answer's JSON value, or null if there is none.
   *
   * @param {string} method
   * @param {string} path
   * @param {Request} [request]
   * @returns {Promise<any>}
   */
  async json(method, path, request) {
    const answer = await this.send(method, path, request);
    const text = await answer.text().catch(() => "");
    if (text === "") return null;
    try {
      return JSON.parse(text);
    } catch {
      throw new SessionError("http", "the answer is not JSON", { status: answer.status });
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

/** @param {Response} answer @returns {Promise<SessionError>} */
async function problem(answer) {
  const { status } = answer;
  const wait = Number(answer.headers.get("retry-after") ?? Number.NaN);
  const retryAfter = Number.isFinite(wait) ? wait : null;
  const value = await answer.json().catch(() => null);
  if (typeof value?.code !== "string") {
    return new SessionError("http", `the answer was ${status}`, { status, retryAfter });
  }
  const detail = typeof value.detail === "string" ? value.detail : String(value.title ?? "");
  return new SessionError(value.code, detail, { status, retryAfter });
}
