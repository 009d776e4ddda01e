// @ts-check
/** `SessionError`: the one error of this client, with a code to act on. */

/** Codes with which the server refuses a page until it has other credentials. */
export const REFUSED = new Set(["token", "expired", "replayed", "revoked", "host", "origin", "login"]);
/** Codes of a setup that does not work, however often a page asks. */
export const SETUP = new Set(["agent", "misrouted", "workers"]);

/**
 * The server's problem, or the lack of an answer. `code` is one of protocol.md's words, or
 * `network` (no answer), `timeout` (none in time), `http` (an answer that is not the server's), `login`
 * (one of the site's own login), `misrouted` (nothing of the surface answers at its address),
 * `closed` (by this page), `grant` and `not_allowed` (by this page too, if it knows), `message`, `size` or `full` (refused here, before it was sent).
 */
export class SessionError extends Error {
  /**
   * @param {string} code
   * @param {string} detail
   * @param {{status?: number, retryAfter?: number | null, instance?: string | null}} [more] `retryAfter` in
   *   seconds; `instance` of the surface that does not know this viewer
   */
  constructor(code, detail, { status = 0, retryAfter = null, instance = null } = {}) {
    super(detail || code);
    this.name = "SessionError";
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.retryAfter = retryAfter;
    this.instance = instance;
  }

  /** Whether a retry with the same credentials is useless. */
  get refused() {
    return REFUSED.has(this.code) && (this.status === 401 || this.status === 403);
  }

  /** Whether the viewer's key is unknown: join again. */
  get stranger() {
    return this.status === 401 && this.code === "viewer";
  }

  /** Whether the same request may succeed later. */
  get retryable() {
    return this.status === 0 ? ["network", "timeout"].includes(this.code) : isPassing(this);
  }
}

/** @param {SessionError} error */
function isPassing({ status, code }) {
  // 501: not with this session, however often.
  if (["viewer", "not_connected", "workers"].includes(code)) return true;
  return (status >= 500 && status !== 501) || status === 429 || status === 408;
}

/** @param {unknown} error @returns {SessionError} */
export function asSessionError(error) {
  if (error instanceof SessionError) return error;
  return new SessionError("network", error instanceof Error ? error.message : String(error));
}
