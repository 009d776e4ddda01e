// @ts-check
/** `SessionError`: the one error of this client, with a code to act on. */

/** Codes with which the server refuses a page until it has other credentials. */
export const REFUSED = new Set(["token", "expired", "replayed", "revoked", "host", "origin"]);

/**
 * The server's problem, or the lack of an answer. `code` is one of protocol.md's words, or
 * `network` (no answer), `timeout` (none in time), `http` (an answer that is not the server's),
 * `closed` (by this page), `grant` and `not_allowed` (by this page too, if it knows), `message`, `size` or `full` (refused here, before it was sent).
 */
export class SessionError extends Error {
  /**
   * @param {string} code
   * @param {string} detail
   * @param {{status?: number, retryAfter?: number | null}} [more] `retryAfter` in seconds
   */
  constructor(code, detail, { status = 0, retryAfter = null } = {}) {
    super(detail || code);
    this.name = "SessionError";
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.retryAfter = retryAfter;
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
  return (status >= 500 && status !== 501) || status === 429 || status === 408 || code === "viewer" || code === "not_connected";
}

/** @param {unknown} error @returns {SessionError} */
export function asSessionError(error) {
  if (error instanceof SessionError) return error;
  return new SessionError("network", error instanceof Error ? error.message : String(error));
}
