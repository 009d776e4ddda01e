// @ts-check
/** Reads a session's events with fetch: by a stream, or by long polls where a proxy holds streams back. */

import { pause } from "./backoff.js";
import { SessionError } from "./errors.js";
import { SseParser } from "./sse.js";

const SILENCE = 6; // seconds; the server sends something every two
const FIRST = 4; // seconds until the first event of a stream, which the server sends at once
const WAIT = 3; // seconds that a poll without events may take
const GATHER = 0.1; // seconds between two polls of a visible page, in which events gather
const AGAIN = 60; // seconds of polls until a stream is tried again; twice as many after each failure
const LONGEST = 3600;

/** Whether events come by long polls, as one link has found out. */
export class Polling {
  /** They do. */
  on = false;
  #suspected = false;
  #due = 0;
  #seconds = AGAIN;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  /** Whether a stream is to be tried. */
  get due() {
    return !this.#suspected || performance.now() >= this.#due;
  }

  /** A stream fell silent: polls come next, unless it lasted. @param {number} seconds */
  suspect(seconds) {
    if (seconds > AGAIN) this.#seconds = AGAIN;
    else this.#postpone();
  }

  #postpone() {
    this.#suspected = true;
    this.#due = performance.now() + this.#seconds * 1000;
    this.#seconds = Math.min(LONGEST, this.#seconds * 2);
  }

  /** @param {boolean} polls what brought events */
  found(polls) {
    if (!polls) this.#suspected = false;
    if (polls === this.on) return;
    this.on = polls;
    this.changed();
  }
}

/**
 * Guarantee: passes each event on in the turn in which it arrives, until the server ends the stream.
 * A stream whose first event does not come within four seconds, or that falls silent within a
 * minute, may be held back by a proxy: polls come next, and a stream again after a while.
 */
export class EventStream {
  #heard = 0;
  #limit = SILENCE;
  #silent = false;
  /** The request under way. @type {AbortController | null} */
  #request = null;
  /** @type {SessionError | null} */
  #why = null;

  /**
   * @param {import("./http.js").Http} http
   * @param {Polling} polling
   * @param {() => string | null} cursor where to go on
   * @param {(kind: string, value: any) => void} take
   * @param {() => void} [heard] called after each piece of the stream
   */
  constructor(http, polling, cursor, take, heard = () => {}) {
    this.http = http;
    this.polling = polling;
    this.cursor = cursor;
    this.take = take;
    this.heard = heard;
  }

  /**
   * @returns {Promise<void>} when the server ended the stream
   * @throws {SessionError} it did not begin, fell silent, broke or was stopped
   */
  async run() {
    for (;;) {
      if (this.polling.due && (await this.#stream())) return;
      await this.#polls();
    }
  }

  /**
   * Reads what there is now, by one poll.
   *
   * @param {number} wait 0: begins, with a snapshot; else goes on, within so many seconds
   * @param {string | null} [carrier] the viewer whose stream brings what follows
   * @throws {SessionError}
   */
  async poll(wait, carrier = null) {
    const more = carrier === null ? "" : `&carrier=${encodeURIComponent(carrier)}`;
    await this.#read(`events?wait=${wait}${more}`, SILENCE);
  }

  /** Ends a request that has been silent for too long, as it has been after a sleep. */
  look() {
    if (this.#request === null || performance.now() - this.#heard < this.#limit * 1000) return;
    this.#silent = true;
    this.#request.abort();
  }

  /** @param {SessionError} why what `run` throws */
  stop(why) {
    this.#why ??= why;
    this.#request?.abort();
  }

  /** @returns {Promise<boolean>} whether the server ended it; otherwise polls come next */
  async #stream() {
    const { polling } = this;
    const begun = performance.now();
    const before = polling.on;
    try {
      await this.#read("events", FIRST);
      return true;
    } catch (error) {
      if (this.#why !== null || !(error instanceof SessionError) || error.code !== "timeout") throw error;
      polling.suspect((performance.now() - begun) / 1000);
      // Events came before: it may be the network that failed.
      if (polling.due || (this.#limit === SILENCE && !before)) throw error;
      return false;
    }
  }

  async #polls() {
    let wait = 0;
    do {
      await this.poll(wait);
      this.polling.found(true);
      wait = WAIT;
      // The timers of a hidden page run late.
      if (document.visibilityState === "visible") await pause(GATHER, new AbortController().signal);
    } while (!this.polling.due);
  }

  /** @param {string} path @param {number} first seconds until the first event */
  async #read(path, first) {
    if (this.#why !== null) throw this.#why;
    const request = (this.#request = new AbortController());
    this.#heard = performance.now();
    this.#limit = first;
    this.#silent = false;
    const timer = setInterval(() => this.look(), 1000);
    try {
      /** @type {Record<string, string>} */
      const headers = { accept: "text/event-stream" };
      const cursor = this.cursor();
      if (cursor !== null) headers["last-event-id"] = cursor;
      const answer = await this.http.send("GET", path, { headers, limit: first, signal: request.signal });
      const type = answer.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream") || answer.body === null) {
        throw new SessionError("http", "the answer is not an event stream", { status: answer.status });
      }
      await this.#pass(answer.body.getReader());
      if (this.#why !== null) throw this.#why;
    } catch (error) {
      if (this.#why !== null) throw this.#why;
      if (this.#silent) throw new SessionError("timeout", "the server sends nothing");
      if (error instanceof SessionError) throw error;
      throw new SessionError("network", "the event stream broke");
    } finally {
      clearInterval(timer);
      request.abort();
      this.#request = null;
    }
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader */
  async #pass(reader) {
    const stream = this.#limit === FIRST;
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#heard = performance.now();
      for (const { event, data } of parser.feed(decoder.decode(value, { stream: true }))) {
        if (this.#why !== null) return;
        if (stream && this.#limit === FIRST) {
          this.#limit = SILENCE;
          this.polling.found(false);
        }
        this.take(event, JSON.parse(data));
      }
      this.heard();
    }
  }
}
