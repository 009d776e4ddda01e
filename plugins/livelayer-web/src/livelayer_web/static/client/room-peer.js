// @ts-check
/** The agent's picture and sound straight from the LiveKit server: a hidden participant that only receives. */

import { pause } from "./backoff.js";
import { SessionError, asSessionError } from "./errors.js";

/** @import { SourceKind } from "./types.js" */
/** @import { Wants } from "./heartbeat.js" */
/** @typedef {"video" | "audio"} Kind */

/**
 * @typedef {object} RoomHooks
 * @property {() => void} ended called once, if the connection ends by itself
 * @property {() => void} tracks the agent's tracks are others
 * @property {() => string | null} agent the identity of the session's agent
 * @property {() => Wants} wants
 * @property {boolean} sure whether there is no other way: livekit-client is loaded beside the request for access
 */

const CLIENT = new URL("../livekit/livekit-client.mjs", import.meta.url).href;
const JOIN = 10; // seconds for the socket, and for the media connection
const FIRST = 2; // seconds that a new connection waits for a picture that is published
const ON_BEHALF = "lk.publish_on_behalf"; // names the agent that an avatar worker publishes for
/** What speaks or shows a face comes before what merely accompanies it. @type {Record<Kind, readonly string[]>} */
const SOURCES = {
  video: ["camera", "unknown", "screen_share"],
  audio: ["microphone", "unknown", "screen_share_audio"],
};
const CHANGES = [
  "participantConnected",
  "participantDisconnected",
  "participantAttributesChanged",
  "participantPermissionsChanged",
  "trackPublished",
  "trackUnpublished",
  "trackSubscribed",
  "trackUnsubscribed",
];

let failures = 0;

/** livekit-client, which no page loads before it needs it. @returns {Promise<any>} */
async function load() {
  try {
    // Browsers remember that a file could not be loaded.
    const client = await import(failures === 0 ? CLIENT : `${CLIENT}?${failures}`);
    client.setLogLevel("silent"); // its records name the address and the token
    return client;
  } catch {
    failures += 1;
    throw new SessionError("network", "livekit-client cannot be loaded");
  }
}

/**
 * Guarantee: only tracks of the session's agent, and of avatar workers that publish for it, are
 * subscribed. It resumes after a short interruption; after a longer one it ends, for another with
 * a new token. It never creates a room that the session has left.
 */
export class RoomPeer {
  /** Whether it has ended: it neither connects nor plays. */
  ended = false;
  /** @type {{track: MediaStreamTrack | null}} */
  audio = { track: null };
  /** @type {{track: MediaStreamTrack | null}} */
  video = { track: null };
  /** @type {any} */
  #client = null;
  /** @type {any} */
  #room = null;
  #name = "";
  #closed = false;
  /** The publications that are subscribed. @type {Record<Kind, any>} */
  #chosen = { video: null, audio: null };
  /** Aborted when there is a picture, or no more chance of one. */
  #seen = new AbortController();

  /** @param {import("./http.js").Http} http @param {RoomHooks} hooks */
  constructor(http, hooks) {
    this.http = http;
    this.hooks = hooks;
  }

  /**
   * Joins the session's room, or ends.
   *
   * @param {AbortSignal} signal
   * @throws {SessionError}
   */
  async connect(signal) {
    const loading = this.hooks.sure ? load() : null;
    loading?.catch(() => {});
    try {
      const access = await this.http.json("POST", "room", { json: {}, signal });
      this.#client = await (loading ?? load());
      await this.#join(access, signal);
    } catch (error) {
      this.close();
      if (error instanceof SessionError) throw error;
      throw new SessionError("livekit", "the LiveKit server cannot be reached");
    }
    if (this.#chosen.video?.isDesired && this.video.track === null) await pause(FIRST, signal, this.#seen.signal);
  }

  /** Microphone, camera and screen go another way. @param {SourceKind} _kind @param {MediaStreamTrack | null} _track */
  async send(_kind, _track) {}

  /** Whether the session is still in this room, as far as its server says. */
  async isCurrent() {
    try {
      await this.http.send("POST", "room", { json: { known: this.#name } });
    } catch (error) {
      return asSessionError(error).code !== "moved";
    }
    return true;
  }

  /** The agent, or what is wanted of it, has changed. */
  look() {
    if (this.#room === null || this.ended) return;
    let changed = false;
    for (const kind of /** @type {Kind[]} */ (["video", "audio"])) {
      const chosen = this.#choose(kind);
      const before = this.#chosen[kind];
      if (before !== chosen && before?.track) before.setSubscribed(false);
      this.#chosen[kind] = chosen;
      if (chosen !== null) this.#ask(kind, chosen);
      const track = chosen?.track?.mediaStreamTrack ?? null;
      changed ||= this[kind].track !== track;
      this[kind].track = track;
    }
    if (this.video.track !== null) this.#seen.abort();
    if (changed) this.hooks.tracks();
  }

  /** Leaves the room. */
  close() {
    this.ended = true;
    this.#seen.abort();
    if (this.#closed) return;
    this.#closed = true;
    this.#room?.disconnect().catch(() => {});
  }

  /** @returns {Promise<RTCStatsReport>} of what it receives */
  async statistics() {
    const tracks = [this.#chosen.video?.track, this.#chosen.audio?.track];
    const reports = await Promise.all(tracks.map((track) => track?.getRTCStatsReport() ?? []));
    return /** @type {any} */ (new Map(reports.flatMap((report) => [...report])));
  }

  /** @param {{url: string, token: string, room: string}} access @param {AbortSignal} signal */
  async #join({ url, token, room: name }, signal) {
    const room = new this.#client.Room({ disconnectOnPageLeave: false });
    this.#room = room;
    this.#name = name;
    // livekit-client disables a track that is muted or gone, which would show black in place of the last picture.
    room.on("trackUnsubscribed", (/** @type {any} */ track) => keepShown(track));
    room.on("trackMuted", (/** @type {any} */ publication) => keepShown(publication.track));
    for (const change of CHANGES) room.on(change, () => this.look());
    // After this one, livekit-client would join anew by itself, and create the room if it is gone.
    room.on("reconnecting", () => this.#end());
    room.on("disconnected", () => this.#end());
    const leave = () => this.close();
    signal.addEventListener("abort", leave);
    try {
      if (signal.aborted || this.#closed) throw new SessionError("closed", "the connection is no longer needed");
      const times = { websocketTimeout: JOIN * 1000, peerConnectionTimeout: JOIN * 1000 };
      await room.connect(url, token, { autoSubscribe: false, maxRetries: 0, ...times });
    } finally {
      signal.removeEventListener("abort", leave);
    }
    this.look();
  }

  #end() {
    if (this.ended) return;
    this.close();
    this.hooks.ended();
  }

  /** @param {Kind} kind @param {any} publication */
  #ask(kind, publication) {
    if (kind === "audio") {
      if (!publication.isDesired) publication.setSubscribed(true);
      return;
    }
    const { video, height } = this.hooks.wants();
    if (video && !publication.isDesired) publication.setSubscribed(true);
    if (!publication.isDesired) return;
    publication.setEnabled(video); // the server sends nothing of it otherwise
    if (!video || height === undefined || !publication.track) return;
    const shape = publication.dimensions ?? { width: 16, height: 9 };
    publication.setVideoDimensions({ width: Math.ceil((height * shape.width) / shape.height), height });
  }

  /** @param {Kind} kind @returns {any} the publication, or null */
  #choose(kind) {
    const ranked = SOURCES[kind];
    for (const participant of this.#speakers()) {
      const found = [...participant.trackPublications.values()]
        .filter((one) => one.kind === kind && ranked.includes(one.source))
        .sort((one, other) => ranked.indexOf(one.source) - ranked.indexOf(other.source));
      if (found.length > 0) return found[0];
    }
    return null;
  }

  /** The agent's avatar workers, then the agent. @returns {any[]} */
  #speakers() {
    const agent = this.hooks.agent();
    if (agent === null) return [];
    const speakers = [...this.#room.remoteParticipants.values()].filter((one) => this.#principal(one) === agent);
    return speakers.sort((one, other) => Number(one.identity === agent) - Number(other.identity === agent));
  }

  /**
   * The agent that a participant is, or publishes for. The server sets the kind; the attribute
   * counts only of a participant that cannot have set it itself.
   *
   * @param {any} participant
   * @returns {string | null}
   */
  #principal({ kind, identity, attributes, permissions }) {
    const named = attributes[ON_BEHALF] ?? "";
    if (kind === this.#client.ParticipantKind.AGENT) return named || identity;
    return permissions && !permissions.canUpdateMetadata && named ? named : null;
  }
}

/** @param {{kind: string, mediaStreamTrack: MediaStreamTrack} | undefined} track */
function keepShown(track) {
  if (track?.kind === "video") track.mediaStreamTrack.enabled = true;
}
