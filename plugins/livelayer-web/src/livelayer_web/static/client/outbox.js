// @ts-check
/** Keeps typed messages until the server has taken them, in order, across network failures and reloads. */

import { Backoff, pause } from "./backoff.js";
import { SessionError, asSessionError } from "./errors.js";
import { deferred } from "./older.js";
import { jsonBytes } from "./text.js";

/** @import { PendingMessage } from "./types.js" */

const MOST = 50; // messages

/**
 * Guarantee: a message that `add` accepts is sent once and in order, or stays in `pending` with the
 * reason why it cannot be. It keeps its id, so the server does not send it twice. At most 50 wait.
 */
export class Outbox {
  /** @type {PendingMessage[]} */
  pending;
  #allowed = false;
  #running = false;
  #wake = new AbortController();
  /** @type {Map<string, ReturnType<typeof deferred<string>>>} */
  #waiters = new Map();

  /**
   * @param {import("./http.js").Http} http
   * @param {import("./storage.js").TabStorage} storage
   * @param {() => void} changed
   * @param {(error: SessionError) => void} failed called with errors that concern the link, such as an unknown key
   */
  constructor(http, storage, changed, failed) {
    this.http = http;
    this.storage = storage;
    this.changed = changed;
    this.failed = failed;
    this.pending = storage.read("outbox", /** @type {PendingMessage[]} */ ([]));
  }

  /**
   * @param {string} text
   * @param {number} limit bytes of the encoded message
   * @returns {Promise<string>} its id, once the server has taken it
   * @throws {SessionError} not accepted (`message`, `size`, `full`), or refused by the server
   */
  add(text, limit) {
    const problem = this.#problem(text, limit);
    if (problem !== null) return Promise.reject(problem);
    const id = uuid();
    /** @type {ReturnType<typeof deferred<string>>} */
    const waiter = deferred();
    this.#waiters.set(id, waiter);
    // A caller that does not wait for it reads `pending`.
    waiter.promise.catch(() => {});
    this.#keep([...this.pending, { id, text }]);
    this.#go();
    return waiter.promise;
  }

  /** @param {boolean} allowed the server is there and the session is connected */
  update(allowed) {
    if (allowed === this.#allowed) return;
    this.#allowed = allowed;
    this.#wake.abort();
    this.#go();
  }

  /** @param {string} id of a failed message: try it again */
  retry(id) {
    this.#keep(this.pending.map((one) => (one.id === id ? { id, text: one.text } : one)));
    this.#go();
  }

  /** @param {string} id of a message not to send */
  discard(id) {
    this.#keep(this.pending.filter((one) => one.id !== id));
    this.#settle(id, new SessionError("closed", "the message was discarded"));
  }

  #go() {
    if (!this.#running && this.#allowed) void this.#send();
  }

  async #send() {
    this.#running = true;
    const backoff = new Backoff();
    for (let next = this.#first(); next !== undefined && this.#allowed; next = this.#first()) {
      const { id, text } = next;
      const { key } = this.http;
      try {
        const json = { id, message: { type: "user_message", text } };
        await this.http.send("POST", "messages", { json });
        backoff.reset();
        this.#keep(this.pending.filter((one) => one.id !== id));
        this.#settle(id, null);
      } catch (error) {
        const problem = asSessionError(error);
        if (!problem.retryable && !problem.refused) this.#fail(id, problem);
        else await this.#wait(backoff, problem, key === this.http.key);
      }
    }
    this.#running = false;
  }

  /** @param {Backoff} backoff @param {SessionError} problem @param {boolean} current of the key that is in use */
  async #wait(backoff, problem, current) {
    this.#wake = new AbortController();
    if (current) this.failed(problem);
    await pause(Math.max(backoff.next(), problem.retryAfter ?? 0), this.#wake.signal);
  }

  #first() {
    return this.pending.find((one) => one.failed === undefined);
  }

  /** @param {string} id @param {SessionError} problem */
  #fail(id, problem) {
    this.#keep(this.pending.map((one) => (one.id === id ? { ...one, failed: problem.code } : one)));
    this.#settle(id, problem);
  }

  /** @param {string} id @param {SessionError | null} problem */
  #settle(id, problem) {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    if (problem === null) waiter?.resolve(id);
    else waiter?.reject(problem);
  }

  /** @param {PendingMessage[]} pending */
  #keep(pending) {
    this.pending = pending;
    this.storage.write("outbox", pending.length > 0 ? pending : null);
    this.changed();
  }

  /** @param {string} text @param {number} limit */
  #problem(text, limit) {
    if (text.trim() === "") return new SessionError("message", "the message is empty");
    if (messageBytes(text) > limit) return new SessionError("size", `the message is longer than ${limit} bytes`);
    if (this.pending.length >= MOST) return new SessionError("full", `${MOST} messages are waiting already`);
    return null;
  }
}

/** The bytes of a typed message on the wire. @param {string} text */
export function messageBytes(text) {
  return jsonBytes({ type: "user_message", text });
}

/** @returns {string} random; `crypto.randomUUID` exists on secure pages only */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
