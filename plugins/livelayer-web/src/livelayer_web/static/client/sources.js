// @ts-check
/** Microphone, camera and screen: permission of the user, then the session's lease, then the track. */

import { asSessionError } from "./errors.js";
import { LevelMeter } from "./audio-level.js";
import { SOURCES } from "./peer.js";

/** @import { Device, SessionState, SourceKind, SourceState } from "./types.js" */
/** @typedef {"microphone" | "camera"} CaptureKind */

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
const OFF = Object.freeze({ phase: "off", muted: false, owner: null, stream: null, code: null, device: null, silenced: false });
/** @type {readonly CaptureKind[]} */
const CAPTURED = ["microphone", "camera"];
/** What a code begins with. */
const NAMES = { microphone: "MIC", camera: "CAMERA", screen: "SCREEN" };
/** @type {ReadonlyMap<string, string>} */
const FAILURES = new Map([
  ["NotAllowedError", "PERMISSION_DENIED"],
  ["SecurityError", "PERMISSION_DENIED"],
  ["NotFoundError", "NOT_FOUND"],
  ["OverconstrainedError", "NOT_FOUND"],
  ["NotReadableError", "IN_USE"],
  ["AbortError", "IN_USE"],
]);

/**
 * Guarantee: nothing is captured before `take`, nothing is sent before this page has the session's
 * lease, and a device is released as soon as it is not used. A source that was on is taken again
 * when the server has forgotten this page, but not after a reload. A change of the device keeps the
 * lease. A microphone that is taken before the session is in its room waits for it.
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
  /** Whether the session is in its room. */
  #ready = false;

  /**
   * @param {import("./http.js").Http} http
   * @param {import("./devices.js").Devices} devices
   * @param {SourceHooks} hooks
   */
  constructor(http, devices, hooks) {
    this.http = http;
    this.devices = devices;
    this.hooks = hooks;
  }

  /** @returns {Readonly<Record<SourceKind, SourceState>>} */
  get all() {
    const { microphone } = this.states;
    if (microphone.phase !== "on") return this.states;
    const level = microphone.muted || microphone.silenced ? 0 : this.#meter.level;
    return { ...this.states, microphone: { ...microphone, level } };
  }

  /** Whether something is sent, or about to be. */
  get busy() {
    return SOURCES.some((kind) => ["asking", "waiting", "on"].includes(this.states[kind].phase));
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
    if (phase === "on" || phase === "asking" || phase === "waiting") return;
    const owner = this.#owners[kind];
    if (owner !== null) return this.#set(kind, { ...OFF, phase: "busy", owner });
    const turn = (this.#turns[kind] += 1);
    this.#set(kind, { ...OFF, phase: "asking" });
    let stream = held;
    try {
      stream = await this.#capture(kind);
    } catch (error) {
      if (this.#turns[kind] === turn) this.#set(kind, { ...OFF, ...failure(kind, error) });
      return;
    }
    if (this.#turns[kind] !== turn) return stop(stream);
    if (kind === "microphone" && !this.#ready) return this.#start(kind, { ...OFF, phase: "waiting", stream });
    await this.#lease(kind, stream, false, turn);
  }

  /** The server does not allow it: nobody is asked, and nothing captured. @param {SourceKind} kind */
  refuse(kind) {
    this.#set(kind, { ...OFF, phase: "unavailable", code: codeOf(kind, "NOT_ALLOWED") });
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
    await this.#tell(kind);
  }

  /** Tells the session whether it hears something. @param {SourceKind} kind */
  async #tell(kind) {
    const { phase, muted, silenced } = this.states[kind];
    if (phase !== "on") return;
    await this.http.send("PATCH", `sources/${kind}`, { json: { muted: muted || silenced } }).catch(() => {});
  }

  /**
   * The system has muted a track, as phones do during a call, or lets it be heard again.
   *
   * @param {SourceKind} kind
   * @param {MediaStream} stream
   * @param {boolean} silenced
   */
  #silence(kind, stream, silenced) {
    const state = this.states[kind];
    if (state.stream !== stream || state.silenced === silenced) return;
    this.#set(kind, { ...state, silenced });
    void this.#tell(kind);
  }

  /**
   * Uses another device from now on; one that cannot be used leaves everything as it was.
   *
   * @param {CaptureKind} kind
   * @param {Device | null} device null: the default
   */
  async choose(kind, device) {
    const before = this.devices.chosen(kind);
    const { phase, stream } = this.states[kind];
    this.devices.choose(kind, device);
    if (stream === null) return phase === "unavailable" ? await this.take(kind) : undefined;
    if (await this.#replace(kind, stream, device)) return;
    this.devices.choose(kind, before);
  }

  /** Something was plugged in or out: brings each source to the device that it is to use now. */
  devicesChanged() {
    for (const kind of CAPTURED) {
      const { stream } = this.states[kind];
      const track = stream?.getTracks()[0];
      if (!stream || !track) continue;
      const chosen = this.devices.find(kind);
      if (this.devices.whereIs(kind, track) === "gone") void this.#unplugged(kind, stream);
      else if (chosen !== null && chosen.id !== idOf(stream) && track.readyState === "live") {
        void this.#replace(kind, stream, chosen);
      }
    }
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
    this.#gate(state);
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

  /** @param {SessionState} state */
  #gate({ connection_state: phase }) {
    const before = this.#ready;
    this.#ready = phase === "connected";
    const { phase: mine, stream } = this.states.microphone;
    if (mine !== "waiting" || stream === null) return;
    if (phase === "disconnected" || phase === "error") void this.release("microphone");
    else if (this.#ready && !before) {
      void this.#lease("microphone", stream, false, (this.#turns.microphone += 1));
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
      // Another device may have been chosen meanwhile.
      this.#start(kind, { ...OFF, phase: "on", muted, owner, stream: this.states[kind].stream ?? stream });
      await this.hooks.send(kind);
    } catch (error) {
      if (this.#turns[kind] !== turn) return this.#abandon(kind, stream);
      stop(stream);
      const { code } = asSessionError(error);
      const owner = this.#owners[kind];
      this.#drop(kind, { ...OFF, phase: code === "busy" ? "busy" : "unavailable", owner, code });
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

  /** @param {SourceKind} kind */
  async #capture(kind) {
    if (kind === "screen") return capture(kind);
    const device = this.devices.find(kind) ?? this.devices.chosen(kind);
    const stream = await capture(kind, device ? { ideal: device.id } : undefined);
    await this.devices.refresh(); // with a first permission come the names
    const chosen = this.devices.find(kind);
    if (chosen === null || chosen.id === idOf(stream)) return stream;
    try {
      const better = await capture(kind, { exact: chosen.id });
      stop(stream);
      return better;
    } catch {
      return stream;
    }
  }

  /**
   * Captures from another device, and only then lets go of the one in use. Phones open one camera
   * at a time: if that fails, it lets go first.
   *
   * @param {CaptureKind} kind
   * @param {MediaStream} old
   * @param {Device | null} device null: the default
   * @param {Partial<SourceState>} [note]
   * @returns {Promise<boolean>} whether the device is used, or not needed any more
   */
  async #replace(kind, old, device, note = { code: null, device: null }) {
    /** @type {MediaTrackConstraints["deviceId"]} */
    const before = { ideal: idOf(old) };
    const wanted = device === null ? undefined : { exact: device.id };
    const attempts = [wanted, wanted, before];
    /** @type {ReturnType<typeof failure> | null} */
    let problem = null;
    for (const [index, id] of attempts.entries()) {
      if (index === 1) {
        if (problem?.code !== codeOf(kind, "IN_USE")) break;
        stop(old);
      }
      try {
        const stream = await capture(kind, id);
        const used = index < 2;
        if (this.states[kind].stream !== old) stop(stream);
        else this.#swap(kind, stream, used ? note : { code: problem?.code ?? null, device: device?.label ?? null });
        return used;
      } catch (error) {
        problem = failure(kind, error);
      }
    }
    const state = this.states[kind];
    if (state.stream !== old || problem === null) return true;
    const lives = old.getTracks().some((track) => track.readyState === "live");
    if (lives && note.code === null) this.#set(kind, { ...state, code: problem.code, device: device?.label ?? null });
    else await this.#fail(kind, note.code && problem.phase !== "denied" ? { ...problem, ...note } : problem);
    return false;
  }

  /** @param {CaptureKind} kind @param {MediaStream} stream @param {Partial<SourceState>} note */
  #swap(kind, stream, note) {
    const state = this.states[kind];
    this.#start(kind, { ...state, stream, ...note });
    if (state.stream !== null) stop(state.stream);
    void this.hooks.send(kind).catch(() => {});
  }

  /**
   * The device in use is gone: goes on with the default one, or gives the lease back.
   *
   * @param {CaptureKind} kind
   * @param {MediaStream} stream
   */
  async #unplugged(kind, stream) {
    const device = stream.getTracks()[0]?.label || null;
    await this.#replace(kind, stream, null, { code: codeOf(kind, "UNPLUGGED"), device });
  }

  /**
   * The user may end it in the browser's own interface, take the permission back, or unplug it.
   *
   * @param {SourceKind} kind
   * @param {MediaStream} stream
   */
  async #ended(kind, stream) {
    const track = stream.getTracks()[0];
    if (kind !== "screen" && track !== undefined) await this.devices.refresh();
    if (this.states[kind].stream !== stream) return;
    const where = kind === "screen" || track === undefined ? "here" : this.devices.whereIs(kind, track);
    if (kind !== "screen" && where === "gone") await this.#unplugged(kind, stream);
    else if (where === "hidden") await this.#fail(kind, failure(kind, new DOMException("", "NotAllowedError")));
    else await this.release(kind);
  }

  /** Gives the lease back, and says why. @param {SourceKind} kind @param {Partial<SourceState>} why */
  async #fail(kind, why) {
    await this.release(kind);
    if (this.states[kind].phase === "off") this.#set(kind, { ...OFF, ...why });
  }

  /** @param {SourceKind} kind @param {SourceState} state */
  #start(kind, state) {
    const { stream } = state;
    const tracks = stream?.getTracks() ?? [];
    const ended = () => {
      if (stream !== null && this.states[kind].stream === stream) void this.#ended(kind, stream);
    };
    for (const track of tracks) {
      track.enabled = !state.muted;
      track.addEventListener("ended", ended);
      if (kind === "screen" || stream === null) continue; // a window that is minimised is no call
      for (const type of ["mute", "unmute"]) track.addEventListener(type, () => this.#silence(kind, stream, track.muted));
    }
    if (kind === "microphone") {
      this.#meter.attach(stream);
      this.#meter.resume();
    }
    this.#set(kind, { ...state, silenced: kind !== "screen" && tracks.some(({ muted }) => muted) });
    if (this.states[kind].silenced) void this.#tell(kind);
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

/**
 * @param {SourceKind} kind
 * @param {MediaTrackConstraints["deviceId"]} [deviceId] the default if there is none
 * @returns {Promise<MediaStream>}
 */
async function capture(kind, deviceId) {
  const devices = navigator.mediaDevices;
  if (devices === undefined) throw new DOMException("no devices on this page", "NotFoundError");
  if (kind === "screen") return devices.getDisplayMedia({ video: { frameRate: 15 }, audio: false });
  if (kind === "camera") return devices.getUserMedia({ video: { height: 720, deviceId } });
  return devices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, deviceId },
  });
}

/** @param {SourceKind} kind @param {string} what */
function codeOf(kind, what) {
  return `${NAMES[kind]}_${what}`;
}

/** @param {SourceKind} kind @param {unknown} error @returns {{phase: "denied" | "unavailable", code: string}} */
function failure(kind, error) {
  // An OverconstrainedError is not a DOMException in every browser.
  const what = FAILURES.get(/** @type {{name?: string} | null} */ (error)?.name ?? "") ?? "FAILED";
  return { phase: what === "PERMISSION_DENIED" ? "denied" : "unavailable", code: codeOf(kind, what) };
}

/** @param {MediaStream} stream */
function idOf(stream) {
  return stream.getTracks()[0]?.getSettings().deviceId ?? "";
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
