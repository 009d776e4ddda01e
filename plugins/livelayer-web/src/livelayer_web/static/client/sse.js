// @ts-check
/** Parses server-sent events from any pieces of text. */

/** @typedef {{event: string, data: string, id: string | null}} ServerSentEvent */

const MAX_EVENT = 1 << 22; // characters of one event; a snapshot with a day's transcript is far below

export class SseParser {
  #rest = "";
  #data = /** @type {string[]} */ ([]);
  #size = 0;
  #event = "";
  /** @type {string | null} */
  #id = null;
  #first = true;

  /**
   * @param {string} text the next piece
   * @returns {ServerSentEvent[]} the events that it completes
   * @throws {RangeError} an event is larger than any the server sends
   */
  feed(text) {
    let input = this.#rest + text;
    if (this.#first && input !== "") {
      this.#first = false;
      if (input.startsWith("\ufeff")) input = input.slice(1);
    }
    /** @type {ServerSentEvent[]} */
    const events = [];
    const breaks = /\r\n|\n|\r/g;
    let start = 0;
    for (let found = breaks.exec(input); found !== null; found = breaks.exec(input)) {
      // A carriage return at the end may be the first half of a break.
      if (found[0] === "\r" && breaks.lastIndex === input.length) break;
      const event = this.#line(input.slice(start, found.index));
      if (event !== null) events.push(event);
      start = breaks.lastIndex;
    }
    this.#rest = input.slice(start);
    if (this.#rest.length + this.#size > MAX_EVENT) throw new RangeError("an event has no end");
    return events;
  }

  /** @param {string} line @returns {ServerSentEvent | null} */
  #line(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length;
    } else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  /** @returns {ServerSentEvent | null} */
  #finish() {
    const event = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
    const complete = this.#data.length > 0;
    this.#data = [];
    this.#size = 0;
    this.#event = "";
    return complete ? event : null;
  }
}
