// @ts-check
/** Reads the event stream of a session with fetch; six seconds of silence mean a dead server. */

import { SessionError } from "./errors.js";
import { SseParser } from "./sse.js";

/** @import { ServerSentEvent } from "./sse.js" */

const SILENCE = 6; // seconds; the server sends something every two

/**
 * Reads until the stream ends; passes each event on in the turn in which it arrives.
 */
export class EventStream {
  #end = new AbortController();
  #heard = performance.now();
  /** @type {SessionError | null} */
  #why = null;

  /**
   * @param {import("./http.js").Http} http
   * @param {string | null} cursor where to go on
   * @param {(event: ServerSentEvent) => void} take
   */
  constructor(http, cursor, take) {
    this.http = http;
    this.cursor = cursor;
    this.take = take;
  }

  /**
   * @returns {Promise<void>} when the server ended the stream
   * @throws {SessionError} it did not begin, fell silent, broke or was stopped
   */
  async run() {
    /** @type {Record<string, string>} */
    const headers = { accept: "text/event-stream" };
    if (this.cursor !== null) headers["last-event-id"] = this.cursor;
    const timer = setInterval(() => this.look(), 1000);
    try {
      const answer = await this.http.send("GET", "events", {
        headers,
        limit: SILENCE,
        signal: this.#end.signal,
      });
      const type = answer.headers.get("content-type") ?? "";
      if (!type.startsWith("text/event-stream") || answer.body === null) {
        throw new SessionError("http", "the answer is not an event stream", { status: answer.status });
      }
      this.#heard = performance.now();
      await this.#read(answer.body.getReader());
    } catch (error) {
      if (this.#why !== null) throw this.#why;
      if (error instanceof SessionError) throw error;
      throw new SessionError("network", "the event stream broke");
    } finally {
      clearInterval(timer);
      this.#end.abort();
    }
  }

  /** Ends the stream if it has been silent for too long, as it has after a sleep. */
  look() {
    if (performance.now() - this.#heard < SILENCE * 1000) return;
    this.stop(new SessionError("timeout", "the server sends nothing"));
  }

  /** @param {SessionError} why what `run` throws */
  stop(why) {
    this.#why ??= why;
    this.#end.abort();
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array>} reader */
  async #read(reader) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#heard = performance.now();
      for (const event of parser.feed(decoder.decode(value, { stream: true }))) {
        if (this.#why !== null) return;
        this.take(event);
      }
    }
  }
}
