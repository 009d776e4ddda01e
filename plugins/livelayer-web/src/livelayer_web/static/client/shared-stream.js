// @ts-check
/** One event stream for all pages of a browser: one page reads it and passes it on to the others. */

import { SessionError, asSessionError } from "./errors.js";
import { EventStream } from "./event-stream.js";
import { uuid } from "./outbox.js";

/**
 * What the page that reads tells the others.
 *
 * @typedef {object} Passed
 * @property {string} leader names its reading: another one is another name
 * @property {string} viewer of the page that reads
 * @property {number} position the sequence of the last event that it took
 * @property {string} [kind] of an event of the stream
 * @property {any} [value]
 * @property {string} [to] the viewer that it is for; all, if there is none
 */

const VERSION = 1; // of `Passed`: pages of another version share another stream
const SILENCE = 6; // seconds; the server sends something every two
const ANSWER = 2; // seconds until a page that reads answers, at least

/**
 * Guarantee: as `EventStream`'s: each event once and in order. Of the pages with the same `share`,
 * one, which holds a lock, reads the stream, and the server puts the frames for the others into it.
 * Each other page gets a snapshot of its own, then what is passed on. If something between is
 * missing, or another page reads from now on, it asks the server for what it missed. A reading page
 * that ends, or is frozen and falls silent, is replaced; of the others, it reports those that end.
 * Where the browser has no locks (not a secure context), each page reads a stream of its own.
 */
export class SharedStream {
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** Ends the wait for the lock. */
  #wait = new AbortController();
  #over = new AbortController();
  /** The pages whose end it would notice. @type {Set<string>} */
  #watched = new Set();
  /** This page's own reading, or its last question. @type {EventStream | null} */
  #own = null;
  /** The name of this page's reading; empty while another page reads. */
  #leading = "";
  /** The reading that it follows, and the one before: what that still says is late. */
  #leader = "";
  #former = "";
  #heard = performance.now();
  #limit = seconds(ANSWER);
  #asked = true;
  #asking = false;
  /** What was passed on while it asked. @type {Passed[]} */
  #waiting = [];
  /** @type {() => void} */
  #resolve = () => {};
  /** @type {(error: SessionError) => void} */
  #reject = () => {};

  /**
   * @param {import("./http.js").Http} http
   * @param {import("./types.js").Joined} joined
   * @param {import("./event-stream.js").Polling} polling
   * @param {() => string | null} cursor where to go on
   * @param {(kind: string, value: any) => void} take
   * @param {() => void} heard called whenever something comes
   */
  constructor(http, joined, polling, cursor, take, heard) {
    this.http = http;
    this.viewer = joined.viewer;
    this.name = `livelayer:${VERSION}:${joined.share}`;
    this.shares = joined.share !== undefined;
    this.polling = polling;
    this.cursor = cursor;
    this.take = take;
    this.heard = heard;
  }

  /**
   * @returns {Promise<void>} when the server ended the stream
   * @throws {SessionError} it did not begin, fell silent, broke, was stopped or taken over
   */
  run() {
    const channel = (this.#channel = this.shares ? channelOf(this.name) : null);
    if (channel === null) return this.#read();
    const timer = setInterval(() => this.look(), 1000);
    /** @type {Promise<void>} */
    const ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#claim(false);
    // By the end of this lock, the page that reads notices the end of this page.
    this.#lock(this.viewer, () => {
      channel.onmessage = ({ data }) => this.#hear(data);
      this.#greet();
      return ended;
    });
    return ended.finally(() => {
      clearInterval(timer);
      this.#wait.abort();
      this.#over.abort();
      channel.close();
      this.#channel = null;
      this.#own?.stop(new SessionError("closed", "this page reads no more"));
    });
  }

  /** Notices a silence that is too long, as after a sleep. */
  look() {
    this.#own?.look();
    const follows = this.#channel !== null && this.#leading === "" && !this.#asking;
    if (!follows || performance.now() - this.#heard < this.#limit) return;
    this.#heard = performance.now();
    if (this.#asked) {
      this.#wait.abort();
      this.#claim(true);
    } else {
      this.#asked = true;
      this.#limit = seconds(ANSWER);
      this.#greet();
    }
  }

  /** @param {SessionError} why what `run` throws */
  stop(why) {
    this.#own?.stop(why);
    this.#reject(why);
  }

  /** @param {boolean} steal from a page that says nothing; otherwise waits until no page reads */
  #claim(steal) {
    const options = steal ? { steal } : { signal: this.#wait.signal };
    navigator.locks.request(this.name, options, () => this.#lead()).then(this.#resolve, (error) => {
      if (error instanceof SessionError) this.#reject(error);
      else if (error.name !== "AbortError") this.#lead().then(this.#resolve, this.#reject); // locks are not allowed
      else if (steal || !this.#wait.signal.aborted) {
        this.#reject(new SessionError("network", "another page reads the events now"));
      }
    });
  }

  async #lead() {
    if (this.#channel === null) return;
    this.#own?.stop(new SessionError("closed", "this page reads the stream itself"));
    this.#leading = uuid();
    await this.#read();
  }

  #read() {
    const take = (/** @type {string} */ kind, /** @type {any} */ value) => {
      if (kind === "other") return this.#pass({ to: value.viewer, kind: value.event, value: value.data });
      this.take(kind, value);
      // The end is everybody's, but for a page whose token was revoked.
      if (kind === "event" || (kind === "bye" && value.reason !== "revoked")) this.#pass({ kind, value });
    };
    const heard = () => {
      this.#pass({});
      this.heard();
    };
    this.#own = new EventStream(this.http, this.polling, this.cursor, take, heard);
    return this.#own.run();
  }

  /** @param {Partial<Passed>} what */
  #pass(what) {
    const passed = { leader: this.#leading, viewer: this.viewer, position: this.#position, ...what };
    this.#channel?.postMessage(passed);
  }

  /** The sequence of the last event that this page took; -1 before the first snapshot. */
  get #position() {
    return Number(/:(\d+)$/.exec(this.cursor() ?? "")?.[1] ?? -1);
  }

  /** @param {string} viewer whose lock it is @param {() => unknown} held */
  #lock(viewer, held) {
    navigator.locks.request(`${this.name}:${viewer}`, { signal: this.#over.signal }, held).catch(() => {});
  }

  /** Says that this page is there; the page that reads answers. */
  #greet() {
    this.#channel?.postMessage(this.viewer);
  }

  /** Reports a page that is there once it has ended; its browser may have no time to. @param {string} viewer */
  #watch(viewer) {
    if (this.#watched.has(viewer)) return;
    this.#watched.add(viewer);
    this.#lock(viewer, () => {
      this.#watched.delete(viewer);
      return this.http.send("DELETE", `events/${viewer}`).catch(() => {});
    });
  }

  /** @param {Passed | string} message of the page that reads, or a viewer that is there */
  #hear(message) {
    if (this.#channel === null) return;
    if (typeof message === "string") {
      if (this.#leading === "") return;
      if (this.#position >= 0) this.#pass({});
      return this.#watch(message);
    }
    const { leader, viewer, position, kind, value, to } = message;
    if (this.#leading !== "" || leader === this.#former) return;
    this.#heard = performance.now();
    this.#limit = SILENCE * 1000;
    this.#asked = false;
    this.heard();
    if (this.#asking) this.#waiting.push(message);
    else if (leader !== this.#leader) {
      this.#former = this.#leader;
      this.#leader = leader;
      this.#greet();
      void this.#ask(viewer);
    } else if (to !== undefined && to !== this.viewer) return;
    else if (kind === "bye") this.take(kind, value);
    else if (kind === "event" ? value.sequence > this.#position + 1 : position > this.#position) void this.#ask(viewer);
    else if (kind !== undefined) this.take(kind, value);
  }

  /** Gets what this page has missed, and its frames by that viewer's stream. @param {string} carrier */
  async #ask(carrier) {
    this.#asking = true;
    const own = (this.#own = new EventStream(this.http, this.polling, this.cursor, this.take));
    try {
      await own.poll(0, carrier);
    } catch (error) {
      if (this.#leading === "") this.#reject(asSessionError(error));
      return;
    } finally {
      this.#asking = false;
    }
    for (const message of this.#waiting.splice(0)) this.#hear(message);
  }
}

/** @param {string} name @returns {BroadcastChannel | null} null: pages cannot share here */
function channelOf(name) {
  try {
    return "locks" in navigator ? new BroadcastChannel(name) : null;
  } catch {
    return null;
  }
}

/** @param {number} least @returns {number} milliseconds, other ones in each page */
function seconds(least) {
  return least * 1000 * (1 + Math.random());
}
