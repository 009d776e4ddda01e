// @ts-check
/** Microphone, camera and screen: permission of the user, then the session's lease, then the track. */

import { asSessionError } from "./errors.js";
import { LevelMeter } from "./audio-level.js";
import { SOURCES } from "./peer.js";

/** @import { SessionState, SourceKind, SourceState } from "./types.js" */

/**
 * @typedef {object} SourceHooks
 * @property {() => void} changed
 * @property {() => Promise<void>} ready waits for the media connection, for a limited time
 * @property {() => void} missing the server has no media connection of this page
 * @property {(kind: SourceKind) => Promise<void>} send puts the source's track into the connection
 */

const TRIES = 12; // half a second apart, while the connection is renewed
const AGAIN = 2; // seconds a lease must have lasted to be requested again

/** @type {SourceState} */
const OFF = Object.freeze({ phase: "off", muted: false, owner: null, stream: null });

/**
 * Guarantee: nothing is captured before `take`, nothing is sent before this page has the session's
 * lease, and a device is released as soon as it is not used. A source that was on is taken again
 * when the server has forgotten this page, but not after a reload.
 */
export class Sources {
  /** @type {Record<SourceKind, SourceState>} */
  states = { microphone: OFF, camera: OFF, screen: OFF };
  #meter = new LevelMeter();
  /** The owner of each source, by the session's state. @type {Record<SourceKind, string | null>} */
  #owners = { microphone: null, camera: null, screen: null };
  /** @type {Record<SourceKind, number>} */
  #turns = { microphone: 0, camera: 0, screen: 0 };
  /** When each was taken last. @type {Record<SourceKind, number>} */
  #taken = { microphone: 0, camera: 0, screen: 0 };

  /** @param {import("./http.js").Http} http @param {SourceHooks} hooks */
  constructor(http, hooks) {
    this.http = http;
    this.hooks = hooks;
  }

  /** @returns {Readonly<Record<SourceKind, SourceState>>} */
  get all() {
    const { microphone } = this.states;
    if (microphone.phase !== "on") return this.states;
    const level = microphone.muted ? 0 : this.#meter.level;
    return { ...this.states, microphone: { ...microphone, level } };
  }

  /** Whether something is sent, or about to be. */
  get busy() {
    return SOURCES.some((kind) => ["asking", "on"].includes(this.states[kind].phase));
  }

  /** @param {SourceKind} kind @returns {MediaStreamTrack | null} */
  track(kind) {
    const { phase, stream } = this.states[kind];
    return phase === "on" ? (stream?.getTracks()[0] ?? null) : null;
  }

  /**
   * Asks the user, then the session. The outcome is the source's state; it does not throw.
   *
   * @param {SourceKind} kind
   */
  async take(kind) {
    const { phase, stream: held } = this.states[kind];
    if (phase === "on" || phase === "asking") return;
    const owner = this.#owners[kind];
    if (owner !== null) return this.#set(kind, { ...OFF, phase: "busy", owner });
    const turn = (this.#turns[kind] += 1);
    this.#set(kind, { ...OFF, phase: "asking" });
    let stream = held;
    try {
      stream = await capture(kind);
    } catch (error) {
      if (this.#turns[kind] === turn) this.#set(kind, { ...OFF, phase: refusal(error) });
      return;
    }
    if (this.#turns[kind] !== turn) return stop(stream);
    await this.#lease(kind, stream, false, turn);
  }

  /** @param {SourceKind} kind */
  async release(kind) {
    const { phase } = this.states[kind];
    if (phase === "off") return;
    this.#turns[kind] += 1;
    this.#drop(kind, OFF);
    if (phase !== "on") return;
    await this.#return(kind);
  }

  /** @param {SourceKind} kind @param {boolean} muted */
  async mute(kind, muted) {
    const state = this.states[kind];
    if (state.phase !== "on" || state.muted === muted) return;
    for (const track of state.stream?.getTracks() ?? []) track.enabled = !muted;
    this.#set(kind, { ...state, muted });
    await this.http.send("PATCH", `sources/${kind}`, { json: { muted } }).catch(() => {});
  }

  /** The server has forgotten this page and its leases: they are taken again. */
  suspend() {
    for (const kind of this.#on()) this.#set(kind, { ...this.states[kind], owner: null });
  }

  /** There is a new connection: each source that is on needs its lease again. */
  async renew() {
    this.suspend();
    for (const kind of this.#on()) {
      const { stream, muted } = this.states[kind];
      if (stream !== null) await this.#lease(kind, stream, muted, (this.#turns[kind] += 1));
    }
  }

  /**
   * Follows the owners in the session's state. A lease that went to another page ends ours; one
   * that ended with its connection is requested again.
   *
   * @param {SessionState} state
   */
  follow(state) {
    for (const kind of SOURCES) {
      const owner = state[kind]?.owner ?? null;
      const before = this.#owners[kind];
      if (owner === before) continue;
      this.#owners[kind] = owner;
      const mine = this.states[kind];
      if (mine.phase === "on" && mine.owner !== null && mine.owner === before) this.#lost(kind, owner);
      else if (mine.phase === "busy" && owner === null) this.#set(kind, OFF);
      else if (mine.phase === "off" && owner !== null) this.#set(kind, { ...OFF, owner, phase: "busy" });
    }
  }

  /** The page is left: releases every device. */
  close() {
    for (const kind of SOURCES) {
      this.#turns[kind] += 1;
      if (this.states[kind].phase !== "off") this.#drop(kind, OFF);
    }
    this.#meter.close();
  }

  /**
   * @param {SourceKind} kind
   * @param {MediaStream} stream
   * @param {boolean} muted
   * @param {number} turn
   */
  async #lease(kind, stream, muted, turn) {
    try {
      const owner = await this.#ask(kind, turn);
      const stale = () => this.#turns[kind] !== turn;
      if (!stale() && muted) await this.http.send("PATCH", `sources/${kind}`, { json: { muted } });
      if (stale()) return await this.#giveBack(kind, stream);
      this.#taken[kind] = performance.now();
      this.#start(kind, { phase: "on", muted, owner, stream });
      await this.hooks.send(kind);
    } catch (error) {
      if (this.#turns[kind] !== turn) return this.#abandon(kind, stream);
      stop(stream);
      const { code } = asSessionError(error);
      const owner = this.#owners[kind];
      this.#drop(kind, { ...OFF, phase: code === "busy" ? "busy" : "unavailable", owner });
    }
  }

  /**
   * The server may have noticed the end of a connection before this page did.
   *
   * @param {SourceKind} kind
   * @param {number} turn
   * @returns {Promise<string>} the lease's owner
   */
  async #ask(kind, turn) {
    for (let tries = 1; ; tries += 1) {
      await this.hooks.ready();
      try {
        return (await this.http.json("PUT", `sources/${kind}`)).owner;
      } catch (error) {
        const passing = asSessionError(error).code === "no_media" && tries < TRIES;
        if (!passing || this.#turns[kind] !== turn) throw error;
        if (tries === 1) this.hooks.missing();
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  /**
   * Stops a stream that is not needed any more, unless a newer attempt uses it.
   *
   * @param {SourceKind} kind
   * @param {MediaStream} stream
   */
  #abandon(kind, stream) {
    if (this.states[kind].stream !== stream) stop(stream);
  }

  /**
   * The lease arrived after the user had changed their mind: without this it would stay taken.
   *
   * @param {SourceKind} kind
   * @param {MediaStream} stream
   */
  async #giveBack(kind, stream) {
    this.#abandon(kind, stream);
    if (!["asking", "on"].includes(this.states[kind].phase)) await this.#return(kind);
  }

  /** @param {SourceKind} kind */
  async #return(kind) {
    await this.http.send("DELETE", `sources/${kind}`).catch(() => {});
  }

  /** @param {SourceKind} kind @param {SourceState} state */
  #start(kind, state) {
    const tracks = state.stream?.getTracks() ?? [];
    // The user may end it in the browser's own interface, or unplug the device.
    const ended = () => {
      if (this.states[kind].stream === state.stream) void this.release(kind);
    };
    for (const track of tracks) {
      track.enabled = !state.muted;
      track.addEventListener("ended", ended);
    }
    if (kind === "microphone") {
      this.#meter.attach(state.stream);
      this.#meter.resume();
    }
    this.#set(kind, state);
    if (tracks.some((track) => track.readyState === "ended")) ended(); // while the lease was requested
  }

  /** @param {SourceKind} kind @param {string | null} owner */
  #lost(kind, owner) {
    const turn = (this.#turns[kind] += 1);
    const { stream, muted } = this.states[kind];
    const again = performance.now() - this.#taken[kind] > AGAIN * 1000;
    if (owner !== null || stream === null || !again) {
      return this.#drop(kind, owner === null ? OFF : { ...OFF, phase: "busy", owner });
    }
    this.#set(kind, { ...this.states[kind], owner: null });
    void this.#lease(kind, stream, muted, turn);
  }

  #on() {
    return SOURCES.filter((kind) => this.states[kind].phase === "on");
  }

  /** @param {SourceKind} kind @param {SourceState} state */
  #drop(kind, state) {
    const { stream } = this.states[kind];
    if (kind === "microphone") this.#meter.attach(null);
    this.#set(kind, state);
    if (stream === null) return;
    stop(stream);
    void this.hooks.send(kind).catch(() => {});
  }

  /** @param {SourceKind} kind @param {SourceState} state */
  #set(kind, state) {
    this.states = { ...this.states, [kind]: state };
    this.hooks.changed();
  }
}

/** @param {SourceKind} kind @returns {Promise<MediaStream>} */
function capture(kind) {
  const devices = navigator.mediaDevices;
  if (devices === undefined) throw new DOMException("no devices on this page", "NotFoundError");
  if (kind === "screen") return devices.getDisplayMedia({ video: { frameRate: 15 }, audio: false });
  if (kind === "camera") return devices.getUserMedia({ video: { height: 720 } });
  return devices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
}

/** @param {unknown} error @returns {"denied" | "unavailable"} */
function refusal(error) {
  const denied = error instanceof DOMException && ["NotAllowedError", "SecurityError"].includes(error.name);
  return denied ? "denied" : "unavailable";
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
