// @ts-check
/** The agent's video and audio: one connection, renewed when it ends, behind one MediaStream. */

import { Backoff, pause } from "./backoff.js";
import { asSessionError } from "./errors.js";
import { SOURCES } from "./peer.js";

/** @import { Peer } from "./peer.js" */
/** @import { RoomPeer } from "./room-peer.js" */
/** @import { MediaState, SourceKind } from "./types.js" */

/**
 * @typedef {object} MediaHooks
 * @property {() => void} changed
 * @property {(track: MediaStreamTrack | null) => void} sound
 * @property {(kind: SourceKind) => MediaStreamTrack | null} source what this page sends now
 * @property {() => void} renewed the connection was replaced
 * @property {() => boolean} watched a surface wants video
 * @property {(ended: () => void, tracks: () => void) => Peer | RoomPeer} peer makes a connection; `ended`: by itself,
 *   `tracks`: it has others
 * @property {(code: string) => boolean} [retry] whether another kind of connection is to be tried, at once
 */

const HOUR = 3600; // seconds: until something changes
const LINGER = 5; // seconds that an unused connection is kept, in case it is wanted again
const READY = 8; // seconds that a source waits for the connection
const PICTURE = 3; // seconds for the first picture of a new connection

/**
 * Guarantee: while wanted and allowed there is one connection, or an attempt at the latest five
 * seconds after the last one. The old picture stays until the new one is there; `state.stream` is
 * the same object all the time and holds no sound.
 */
export class Media {
  /** @type {MediaState} */
  state = { phase: "off", stream: null, code: null };
  #wanted = false;
  #allowed = false;
  #running = false;
  #lived = false;
  #stream = new MediaStream();
  /** @type {Peer | RoomPeer | null} */
  #peer = null;
  /** @type {MediaStreamTrack | null} */
  #sound = null;
  /** What is shown until the new connection plays. @type {Peer | RoomPeer | null} */
  #old = null;
  #backoff = new Backoff();
  /** Ends the wait before the next attempt. */
  #rest = new AbortController();
  /** Aborted while there is a connection: ends every wait for one. */
  #live = new AbortController();
  /** Ends the current step of the loop. */
  #turn = new AbortController();

  /** @param {MediaHooks} hooks */
  constructor(hooks) {
    this.hooks = hooks;
  }

  get wanted() {
    return this.#wanted;
  }

  /**
   * @param {boolean} wanted there is something to see, hear or send
   * @param {boolean} allowed the server is there: try now
   */
  update(wanted, allowed) {
    if (wanted === this.#wanted && allowed === this.#allowed) return;
    this.#wanted = wanted;
    this.#allowed = allowed;
    this.#next();
  }

  /** The server has forgotten the connection: makes another. */
  renew() {
    if (this.#peer !== null) this.#retire(this.#peer);
    this.#backoff.reset();
    this.#next();
  }

  /** The session may be in another room now: makes another connection, if so. */
  async reviewRoom() {
    const peer = this.#peer;
    if (peer === null) this.#turn.abort(); // what is under way may be for the other room
    else if (!(await peer.isCurrent()) && this.#peer === peer) this.renew();
  }

  /** What is wanted of the connection may have changed. */
  look() {
    this.#peer?.look();
  }

  /** Waits until the connection is there, for a limited time. */
  async ready() {
    if (this.state.phase !== "live") await pause(READY, this.#live.signal);
  }

  /** Ends the connection now. */
  close() {
    this.#wanted = false;
    this.#drop();
    this.#turn.abort();
  }

  /** Ends a wait and tries at once. */
  wake() {
    this.#rest.abort();
  }

  /** @param {SourceKind} kind @param {MediaStreamTrack | null} track */
  async send(kind, track) {
    await this.#peer?.send(kind, track);
  }

  /** @returns {Promise<RTCStatsReport> | null} of the connection there is */
  statistics() {
    return this.#peer?.statistics() ?? null;
  }

  #next() {
    this.#turn.abort();
    if (!this.#running) void this.#run();
  }

  async #run() {
    this.#running = true;
    for (;;) {
      this.#turn = new AbortController();
      const { signal } = this.#turn;
      if (!this.#wanted) {
        if (this.#peer !== null) await pause(LINGER, signal);
        if (!this.#wanted && !signal.aborted) break;
      } else if (this.#peer !== null || !this.#allowed) await pause(HOUR, signal);
      else await this.#attempt(signal);
    }
    this.#running = false;
    this.#drop();
  }

  /** @param {AbortSignal} signal */
  async #attempt(signal) {
    this.#set(this.#lived ? "recovering" : "connecting", this.state.code);
    const peer = this.hooks.peer(
      () => this.#ended(peer),
      () => void this.#changed(peer),
    );
    try {
      for (const kind of SOURCES) await peer.send(kind, this.hooks.source(kind));
      await peer.connect(signal);
    } catch (error) {
      const { code } = asSessionError(error);
      if (this.hooks.retry?.(code)) return;
      if (code !== "closed") this.#set(this.state.phase, code);
      this.#rest = new AbortController();
      const seconds = code === "unsupported" ? HOUR : this.#backoff.next();
      return await pause(seconds, signal, this.#rest.signal);
    }
    if (signal.aborted) return peer.close();
    // A source may have been taken meanwhile.
    for (const kind of SOURCES) await peer.send(kind, this.hooks.source(kind));
    this.#backoff.reset();
    const renewed = this.#lived;
    this.#lived = true;
    this.#peer = peer;
    this.#play(peer.audio.track);
    await this.#show(peer, signal);
    if (this.#peer !== peer) return;
    this.#set("live");
    if (renewed) this.hooks.renewed();
  }

  /** @param {MediaStreamTrack | null} track */
  #play(track) {
    if (track === this.#sound) return;
    this.#sound = track;
    this.hooks.sound(track);
  }

  /**
   * Shows the connection's picture in place of another one; while it has none, the last one stays.
   *
   * @param {Peer | RoomPeer} peer
   * @param {AbortSignal} signal
   */
  async #show(peer, signal) {
    const { track } = peer.video;
    const [before] = this.#stream.getTracks();
    if (track !== null && before !== undefined && before !== track && this.hooks.watched()) await firstPicture(track, signal);
    if (this.#peer !== peer || peer.video.track !== track) return; // replaced meanwhile; the old picture is still there
    if (track !== null && before !== track) {
      for (const other of this.#stream.getTracks()) this.#stream.removeTrack(other);
      this.#stream.addTrack(track);
    }
    this.#old?.close();
    this.#old = null;
  }

  /** @param {Peer | RoomPeer} peer */
  async #changed(peer) {
    if (peer !== this.#peer) return;
    this.#play(peer.audio.track);
    await this.#show(peer, this.#turn.signal);
    if (peer === this.#peer) this.#set(this.state.phase, this.state.code);
  }

  /** @param {Peer | RoomPeer} peer */
  #ended(peer) {
    if (peer !== this.#peer) return;
    this.#retire(peer);
    this.#next();
  }

  /** @param {Peer | RoomPeer} peer */
  #retire(peer) {
    this.#peer = null;
    if (this.#old === null) this.#old = peer;
    else peer.close();
    this.#set("recovering");
  }

  #drop() {
    this.#peer?.close();
    this.#old?.close();
    this.#peer = null;
    this.#old = null;
    this.#lived = false;
    for (const track of this.#stream.getTracks()) this.#stream.removeTrack(track);
    this.#play(null);
    this.#set("off");
  }

  /** @param {MediaState["phase"]} phase @param {string | null} [code] why it does not connect */
  #set(phase, code = null) {
    const stream = this.#stream.getTracks().length > 0 ? this.#stream : null;
    const before = this.state;
    if (phase === before.phase && stream === before.stream && code === before.code) return;
    this.state = { phase, stream, code };
    if (phase === "live") this.#live.abort();
    else if (this.#live.signal.aborted) this.#live = new AbortController();
    this.hooks.changed();
  }
}

/**
 * Waits until a track's first picture is decoded, for a limited time.
 *
 * @param {MediaStreamTrack} track
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
async function firstPicture(track, signal) {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = new MediaStream([track]);
  const seen = new AbortController();
  video.addEventListener("loadeddata", () => seen.abort(), { once: true });
  video.play().catch(() => {});
  await pause(PICTURE, signal, seen.signal);
  video.pause();
  video.srcObject = null;
}
