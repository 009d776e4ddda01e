// @ts-check
/** One media connection: an RTCPeerConnection as protocol.md describes it, negotiated by WHEP. */

import { SessionError } from "./errors.js";
import { deferred } from "./older.js";

/** @import { SourceKind } from "./types.js" */

/** @type {readonly SourceKind[]} */
export const SOURCES = ["microphone", "camera", "screen"];

const CONNECT = 6; // seconds from the answer until pictures can flow
const DISCONNECTED = 2; // seconds a connection may be interrupted
const ENDED = new Set(["failed", "closed"]);

export class Peer {
  /** Whether it has ended: it neither connects nor plays. */
  ended = false;
  #connection;
  /** @type {Record<SourceKind, RTCRtpSender>} */
  #senders;
  #resource = "";
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /**
   * @param {import("./http.js").Http} http
   * @param {() => void} onEnd called once, if it ends by itself
   * @param {readonly RTCIceServer[]} iceServers
   */
  constructor(http, onEnd, iceServers) {
    this.http = http;
    this.onEnd = onEnd;
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [...iceServers] });
    this.#connection = connection;
    this.audio = connection.addTransceiver("audio", { direction: "recvonly" }).receiver;
    this.video = connection.addTransceiver("video", { direction: "recvonly" }).receiver;
    const [microphone, camera, screen] = ["audio", "video", "video"].map(
      (kind) => connection.addTransceiver(kind, { direction: "sendonly" }).sender,
    );
    this.#senders = { microphone, camera, screen };
    connection.addEventListener("connectionstatechange", () => this.#watch());
  }

  /**
   * Connects, or ends.
   *
   * @param {AbortSignal} signal
   * @throws {SessionError}
   */
  async connect(signal) {
    try {
      await this.#negotiate(signal);
      await this.#connected(signal);
    } catch (error) {
      this.close();
      if (error instanceof SessionError) throw error;
      throw new SessionError("sdp", "this browser and the server support no common media format");
    }
  }

  /** @param {SourceKind} kind @param {MediaStreamTrack | null} track */
  async send(kind, track) {
    if (!this.ended) await this.#senders[kind].replaceTrack(track);
  }

  /** Whether it belongs to the session as it is now: the server ends it otherwise. */
  async isCurrent() {
    return true;
  }

  /** What is wanted is sent with the heartbeat. */
  look() {}

  /** Ends it here and at the server. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.ended = true;
    clearTimeout(this.#patience);
    this.#connection.close();
    if (this.#resource === "" || this.http.key === null) return;
    void this.http.send("DELETE", this.#resource, { keepalive: true }).catch(() => {});
  }

  /** @returns {Promise<RTCStatsReport>} */
  statistics() {
    return this.#connection.getStats();
  }

  /** @param {AbortSignal} signal */
  async #negotiate(signal) {
    const connection = this.#connection;
    await connection.setLocalDescription();
    // The server lists its addresses and learns ours from the checks: no gathering, no waiting.
    const text = connection.localDescription?.sdp ?? "";
    const request = { text, type: "application/sdp", signal };
    const [sdp, location] = await this.http.ask("POST", "whep", request, async (answer) => [
      await answer.text(),
      answer.headers.get("location") ?? "",
    ]);
    const { base } = this.http;
    const place = new URL(location, `${base}/whep`).href;
    // The key is sent to addresses below the base only.
    if (place.startsWith(`${base}/whep/`)) this.#resource = place.slice(base.length + 1);
    if (signal.aborted) throw new SessionError("closed", "the connection is no longer needed");
    await connection.setRemoteDescription({ type: "answer", sdp });
  }

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  #connected(signal) {
    const connection = this.#connection;
    const end = new AbortController();
    const until = { signal: end.signal };
    /** @type {ReturnType<typeof deferred<void>>} */
    const { promise, resolve, reject } = deferred();
    /** @param {string} code @param {string} detail */
    const fail = (code, detail) => reject(new SessionError(code, detail));
    const look = () => {
      if (connection.connectionState === "connected") resolve();
      if (ENDED.has(connection.connectionState)) fail("network", "the media connection failed");
    };
    const timer = setTimeout(() => fail("timeout", "no media arrives from the server"), CONNECT * 1000);
    connection.addEventListener("connectionstatechange", look, until);
    signal.addEventListener("abort", () => fail("closed", "the connection is no longer needed"), until);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      end.abort();
    });
  }

  #watch() {
    const { connectionState } = this.#connection;
    clearTimeout(this.#patience);
    if (connectionState === "disconnected") {
      this.#patience = setTimeout(() => this.#end(), DISCONNECTED * 1000);
    } else if (ENDED.has(connectionState)) this.#end();
  }

  #end() {
    if (this.ended) return;
    this.ended = true; // its last picture stays until there is another: not closed yet
    this.onEnd();
  }
}
