// @ts-check
/** Keeps a page joined to its server and reading its events, across network failures. */

import { Backoff, pause } from "./backoff.js";
import { SETUP, SessionError, asSessionError } from "./errors.js";
import { Polling } from "./event-stream.js";
import { pageInfo } from "./heartbeat.js";
import { deferred } from "./older.js";
import { SharedStream } from "./shared-stream.js";

/** @import { Place } from "./session-locator.js" */
/** @import { Joined, LinkState } from "./types.js" */
/** @typedef {() => string | null | undefined | Promise<string | null | undefined>} TokenProvider */

const LIVE = 10; // seconds that `whenLive` waits
const MET = 16; // instances remembered
const LASTS = 5; // seconds after which several processes are not the end of one and the start of another
const APART = 60; // seconds between two answers of other processes that have nothing to do with each other

/**
 * @typedef {object} LinkHooks
 * @property {(state: LinkState) => void} phase
 * @property {(joined: Joined) => void} joined after every join; events follow
 * @property {(kind: string, data: any) => void} event `snapshot`, `event`, `lagged`, `command`, `info`
 * @property {() => string | null} cursor where to go on
 * @property {() => void} heard something came from the server
 * @property {() => void} polling whether events come by long polls has changed
 * @property {(signal: AbortSignal, anew: boolean, bearer: () => Promise<string | null>) => Promise<Place>} place
 *   finds the session's base (`anew`: the last one is gone)
 */

/**
 * Guarantee: while open, it is joined, or tries to join at most five seconds after the last attempt.
 * After an unknown key it joins again; a refused token is final until there is another one. A session
 * that was just opened and is not there, and a surface that never was, are final: no other is opened.
 */
export class Link {
  /** @type {LinkState} */
  state = { phase: "idle" };
  /** @type {Joined | null} */
  joined = null;
  /** What the server was told of the page on joining. */
  page = pageInfo();
  /** @type {string | null} */
  token = null;
  /** Asked for a token when there is none, or the last one was refused. @type {TokenProvider | null} */
  tokenProvider = null;
  /** The key of an earlier stay, which needs no token. @type {string | null} */
  previous = null;
  /** @type {AbortController | null} */
  #run = null;
  /** @type {AbortController} */
  #sleep = new AbortController();
  /** @type {SharedStream | null} */
  #stream = null;
  /** @type {string | null} */
  #refused = null;
  #gone = false;
  /** The instances of the surface that answered, oldest first: none comes back. @type {string[]} */
  #instances = [];
  /** When another process answered than this page's. */
  #workers = { first: Number.NEGATIVE_INFINITY, last: Number.NEGATIVE_INFINITY };
  /** Whether it ever joined. */
  #met = false;

  /** @param {import("./http.js").Http} http @param {LinkHooks} hooks */
  constructor(http, hooks) {
    this.http = http;
    this.hooks = hooks;
    this.polling = new Polling(hooks.polling);
  }

  /** Joins; ends a wait and tries at once. */
  open() {
    if (this.#run !== null) return this.wake();
    this.#run = new AbortController();
    this.#set({ phase: this.state.phase === "recovering" ? "recovering" : "joining" });
    void this.#keep(this.#run.signal);
  }

  /** Leaves the server for good. */
  close() {
    this.leave();
    this.previous = null;
    this.#set({ phase: "idle" });
  }

  /** Leaves with the page, to come back with `open`; the request outlives the page. */
  leave() {
    this.#halt();
    const key = this.http.key;
    if (key !== null) {
      void this.http.send("DELETE", "viewers/me", { keepalive: true }).catch(() => {});
      this.previous = key;
    }
    this.#forget();
    if (this.state.phase === "live") this.#set({ phase: "recovering", code: "left" });
  }

  /** The network may have changed, or the page was suspended. */
  wake() {
    this.#stream?.look();
    this.#sleep.abort();
  }

  /** The page is frozen until `wake`: another one may read the stream. */
  freeze() {
    this.#stream?.stop(new SessionError("network", "the page is frozen"));
  }

  /** The server does not know this viewer: join again. */
  lost() {
    this.#stream?.stop(new SessionError("viewer", "the server does not know this viewer", { status: 401 }));
  }

  /** @param {string | null} token */
  setToken(token) {
    if (token === this.token) return;
    this.token = token;
    if (token !== null && this.state.phase === "refused") this.open();
  }

  /** @param {AbortSignal} signal */
  async #keep(signal) {
    const backoff = new Backoff();
    while (!signal.aborted) {
      const { token, tokenProvider } = this;
      try {
        if (this.joined === null) await this.#join(signal);
        await this.#follow(backoff);
        throw new SessionError("network", "the server ended the event stream");
      } catch (error) {
        if (signal.aborted) return;
        const problem = asSessionError(error);
        this.#note(problem.instance);
        const strange = problem.stranger || problem.code === "unmounted";
        if (strange) this.#forget();
        const given = this.token !== token || this.tokenProvider !== tokenProvider;
        if (problem.refused && given && (this.token ?? this.tokenProvider) !== null) {
          this.#forget(); // with what was given while the answer was under way, it is another question
          continue;
        }
        if (this.#isFinal(problem)) return;
        const { code, detail } = problem;
        // Known until a moment ago: the server was restarted, or we were asleep.
        const wait = problem.stranger && backoff.unused ? 0 : backoff.next();
        const seconds = Math.max(wait, problem.retryAfter ?? 0);
        this.#set({ phase: "recovering", code, detail, retryAt: Date.now() + seconds * 1000 });
        if (signal.aborted) return;
        this.#sleep = new AbortController();
        if (seconds > 0) await pause(seconds, this.#sleep.signal, signal);
      }
    }
  }

  /** @param {SessionError} problem */
  #isFinal({ code, detail, status, refused }) {
    const closed = code === "closed";
    const setup = SETUP.has(code) && (code !== "workers" || this.#lasts());
    if (!closed && !refused && status !== 403 && !setup) return false;
    if (setup) console.error(`livelayer: ${detail}`);
    this.#halt();
    this.#forget();
    this.previous = null;
    this.#set({ phase: closed ? "ended" : "refused", code, detail });
    return true;
  }

  /** A server that is replaced has two processes for a moment; this is for good. */
  #lasts() {
    const now = performance.now();
    const { first, last } = this.#workers;
    this.#workers = { first: now - last > APART * 1000 ? now : first, last: now };
    return now - this.#workers.first >= LASTS * 1000;
  }

  /** @param {AbortSignal} signal */
  async #join(signal) {
    const { token, opened } = await this.hooks.place(signal, this.#gone, () => this.#bearer());
    this.#gone = false;
    try {
      const joined = await this.#enter(token, signal);
      if (signal.aborted) return;
      this.joined = joined;
      this.#note(joined.instance);
      this.http.key = joined.key;
      this.previous = null;
      this.#met = true;
      this.hooks.joined(joined);
    } catch (error) {
      const { code, status } = asSessionError(error);
      this.#gone = status === 404;
      if (this.#gone && (opened || (!this.#met && code !== "session"))) throw misrouted(this.http.base, opened);
      throw error;
    }
  }

  /**
   * @param {string | null} own a token that came with the session
   * @param {AbortSignal} signal
   * @returns {Promise<Joined>}
   */
  async #enter(own, signal) {
    const previous = this.previous;
    if (previous !== null) {
      try {
        return await this.#ask(previous, previous, signal);
      } catch (error) {
        if (!(error instanceof SessionError) || error.status !== 401) throw error;
        this.#note(error.instance);
        this.previous = null;
      }
    }
    if (own !== null) return await this.#ask(own, previous, signal);
    const token = await this.#bearer();
    try {
      return await this.#ask(token, previous, signal);
    } catch (error) {
      if (!(error instanceof SessionError) || !error.refused || error.status !== 401) throw error;
      this.#refused = token;
      const other = this.tokenProvider === null ? null : await this.#fresh();
      if (other === null || other === token) throw error;
      return await this.#ask(other, previous, signal);
    }
  }

  /** @returns {Promise<string | null>} the token given, or a fresh one if that was refused */
  async #bearer() {
    return this.token !== null && this.token !== this.#refused ? this.token : await this.#fresh();
  }

  /** @returns {Promise<string | null>} */
  async #fresh() {
    if (this.tokenProvider === null) return this.token;
    try {
      return (await this.tokenProvider()) ?? null;
    } catch {
      throw new SessionError("network", "the token provider failed");
    }
  }

  /**
   * @param {string | null} bearer
   * @param {string | null} previous
   * @param {AbortSignal} signal
   * @returns {Promise<Joined>}
   */
  #ask(bearer, previous, signal) {
    const met = this.#instances;
    this.page = pageInfo();
    const json = {
      ...(previous === null ? {} : { previous }),
      ...(met.length > 1 ? { instances: met } : {}),
      page: this.page,
    };
    return this.http.json("POST", "viewers", { json, key: bearer ?? "", signal });
  }

  /** @param {string | null} instance of the surface that answered */
  #note(instance) {
    if (instance !== null && instance !== this.#instances.at(-1)) this.#instances = [...this.#instances, instance].slice(-MET);
  }

  /** @param {Backoff} backoff */
  async #follow(backoff) {
    if (this.joined === null) return;
    const take = (/** @type {string} */ kind, /** @type {any} */ value) => {
      if (kind === "bye") return stream.stop(farewell(value.reason));
      this.hooks.event(kind, value);
      if (kind !== "snapshot") return;
      backoff.reset();
      this.#set({ phase: "live" });
    };
    const { cursor, heard } = this.hooks;
    const stream = new SharedStream(this.http, this.joined, this.polling, cursor, take, heard);
    this.#stream = stream;
    try {
      await stream.run();
    } finally {
      if (this.#stream === stream) this.#stream = null;
    }
  }

  #halt() {
    this.#run?.abort();
    this.#run = null;
    this.#stream?.stop(new SessionError("closed", "the page left"));
  }

  #forget() {
    this.previous ??= this.http.key;
    this.http.key = null;
    this.joined = null;
  }

  /** @param {LinkState} state */
  #set(state) {
    if (state.phase === this.state.phase && state.code === this.state.code && !state.retryAt) return;
    this.state = state;
    this.hooks.phase(state);
  }
}

/** @param {string} base @param {boolean} opened @returns {SessionError} */
function misrouted(base, opened) {
  const what = opened ? "the session that was opened is not found" : "no web surface answers";
  const todo = "set base to the surface's address; a proxy in front must pass on every path below it, to one process";
  return new SessionError("misrouted", `${what} at ${base}: ${todo}`, { status: 404 });
}

/** @param {string} reason @returns {SessionError} */
function farewell(reason) {
  if (reason === "revoked") return new SessionError("revoked", "this page may no longer watch", { status: 401 });
  if (reason === "unmounted") return new SessionError("unmounted", "the surface is not mounted now", { status: 503 });
  return new SessionError("closed", "the session was closed");
}

/**
 * @param {EventTarget & {link: LinkState}} client
 * @returns {Promise<void>} when its link is live
 * @throws {SessionError} it was refused, has ended, or is not back in time
 */
export function whenLive(client) {
  /** @type {ReturnType<typeof deferred<void>>} */
  const { promise, resolve, reject } = deferred();
  const look = () => {
    const { phase, code = "closed", detail = "this page has left the server" } = client.link;
    if (phase === "live") resolve();
    else if (["refused", "ended", "idle"].includes(phase)) reject(new SessionError(code, detail));
  };
  const late = () => reject(new SessionError("timeout", "the server cannot be reached"));
  const timer = setTimeout(late, LIVE * 1000);
  client.addEventListener("link", look);
  look();
  return promise.finally(() => {
    clearTimeout(timer);
    client.removeEventListener("link", look);
  });
}
