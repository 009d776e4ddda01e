// @ts-check
/** A page's half of a session: one link, one media connection, one voice, any number of surfaces. */

import { Beat } from "./beat.js";
import { Commands } from "./commands.js";
import { Follower } from "./follow.js";
import { Http } from "./http.js";
import { Lifecycle } from "./lifecycle.js";
import { Link } from "./link.js";
import { live } from "./live.js";
import { Loudness } from "./loudness.js";
import { Media } from "./media.js";
import { Outbox, uuid } from "./outbox.js";
import { Place } from "./place.js";
import { TabRecord, tabStorage } from "./record.js";
import { Sound } from "./sound.js";
import { Sources } from "./sources.js";
import { Watchers } from "./watchers.js";

/** @typedef {import("./types.js").SessionState} SessionState */
/** @typedef {import("./types.js").SourceKind} SourceKind */
/** @typedef {import("./types.js").Joined} Joined */
/** @typedef {import("./types.js").Info} Info */
/** @typedef {import("./types.js").Message} Message */

const MESSAGE = 15_360; // bytes, until the server says otherwise
const CONNECT = 40; // seconds until a connect must have come to something

/**
 * Guarantee: `state` is the session's, event by event; every event is told once and in order, over
 * cuts and reloads (`event`), unless the server says that some were lost (`lagged`). Nothing is
 * joined before `open()`.
 *
 * Events (CustomEvent): `state`, `event` (detail: the event, with its `line` beside it), `lagged`,
 * `link`, `media`, `sources`, `info`, `pending`, `level`, `speaker`, `surfaces`, `command` (detail
 * `{command, ok, reason}`).
 */
export class SessionClient extends EventTarget {
  /** @type {SessionState | null} */
  state = null;
  /** @type {Info | null} */
  info = null;
  #http;
  #record;
  #link;
  #follower = new Follower();
  #beat;
  #media;
  #sound;
  #sources;
  #outbox;
  #commands;
  #lifecycle;
  #watchers = new Watchers();
  #loudness = new Loudness(() => this.level, (level) => this.#tell("level", level));
  /** Taken up what an earlier page of this tab left. */
  #resumed = false;
  /** There was a media connection before the reload: make one before the state is known. */
  #hint = false;
  #known = false;

  /**
   * @param {{base?: string, token?: string | null, agentId?: string | null, storage?: Storage | null}} [options]
   *   `base`: where the surface is mounted; `token`: a viewer token; `agentId`: open a session of
   *   one's own with this agent; `storage`: what outlives a reload (the tab's session storage)
   */
  constructor({ base = "/livelayer", token = null, agentId = null, storage = tabStorage() } = {}) {
    super();
    const http = new Http(base);
    this.#http = http;
    this.#record = new TabRecord(agentId === null ? http.base : `${http.base}#${agentId}`, storage);
    const place = new Place(http, this.#record, agentId);
    this.#link = new Link(http, {
      phase: () => this.#linkChanged(),
      joined: (joined) => this.#joined(joined),
      event: (kind, data) => this.#take(kind, data),
      cursor: () => this.#follower.cursor,
      place: (signal, anew, bearer) => place.find(signal, anew, bearer),
    });
    this.#link.token = token;
    this.#beat = new Beat(http, () => this.#watchers.wants, () => this.#link.lost());
    this.#sound = new Sound(this.#record.read("muted", false), () => this.#tell("speaker"));
    this.#media = new Media(http, {
      changed: () => this.#mediaChanged(),
      sound: (track) => this.#sound.attach(track),
      source: (kind) => this.#sources.track(kind),
      renewed: () => void this.#sources.renew(),
      watched: () => this.#watchers.wants.video,
    });
    this.#sources = new Sources(http, {
      changed: () => this.#sourcesChanged(),
      ready: () => this.#media.ready(),
      missing: () => this.#media.renew(),
      send: (kind) => this.#media.send(kind, this.#sources.track(kind)),
    });
    const pending = () => this.#tell("pending");
    this.#outbox = new Outbox(http, this.#record, pending, (error) => error.stranger && this.#link.lost());
    this.#commands = new Commands(http, this.#record, ({ type }, { ok, reason }) =>
      this.#tell("command", { command: type, ok, reason }),
    );
    this.#lifecycle = new Lifecycle({
      leave: () => this.#leave(),
      remember: () => this.#remember(),
      forget: () => this.#record.take(),
      back: () => this.#link.open(),
      wake: () => this.#wake(),
      seen: () => this.#beat.now(),
      used: () => this.markUsed(),
    });
  }

  /** @returns {import("./types.js").LinkState} */
  get link() {
    return this.#link.state;
  }

  /** @returns {Joined | null} */
  get joined() {
    return this.#link.joined;
  }

  get media() {
    return this.#media.state;
  }

  /** The agent's loudness, 0 to 1. */
  get level() {
    return this.#sound.meter.level;
  }

  get speaker() {
    return this.#sound.state;
  }

  get sources() {
    return this.#sources.all;
  }

  /** Typed messages that the server has not taken, oldest first. */
  get pending() {
    return this.#outbox.pending;
  }

  /** A viewer token; a new one ends a refusal. */
  set token(/** @type {string | null} */ token) {
    this.#link.setToken(token);
  }

  /** Asked for a token where there is none, or it was refused. */
  set tokenProvider(/** @type {import("./link.js").TokenProvider | null} */ provider) {
    this.#link.tokenProvider = provider;
    if (provider !== null && this.link.phase === "refused") this.#link.open();
  }

  /** What carries the agent's commands out on this page. */
  set carryOut(/** @type {import("./commands.js").CarryOut | null} */ carryOut) {
    this.#commands.carryOut = carryOut;
  }

  /** Joins the server; while it recovers, was refused or has ended: tries again at once. */
  open() {
    if (!this.#resumed) {
      this.#resumed = true;
      const left = this.#record.take();
      this.#link.previous = left?.key ?? null;
      this.#follower = new Follower(left?.cursor ?? null);
      this.#hint = left?.media ?? false;
    }
    this.#lifecycle.start();
    this.#link.open();
  }

  /** Leaves the server; the session goes on without this page. */
  close() {
    this.#lifecycle.stop();
    this.#beat.stop();
    this.#sources.close();
    this.#media.close();
    this.#sound.close();
    this.#link.close();
    this.#record.take();
    this.#resumed = false;
  }

  /** Connects the session. @throws {SessionError} */
  async connect() {
    await this.#ask("control/connect", {}, CONNECT);
  }

  /** Ends the session's conversation, for everybody. @throws {SessionError} */
  async disconnect() {
    await this.#ask("control/disconnect", {});
  }

  /** @param {string} id one of `joined.agents` @throws {SessionError} */
  async switchAgent(id) {
    await this.#ask("control/agent", { agent_id: id }, CONNECT);
  }

  /**
   * Sends a typed message, now or when that is possible again: it outlives cuts and reloads.
   *
   * @param {string} text
   * @returns {Promise<string>} its id, when the server has taken it
   * @throws {SessionError} it was not taken up (`message`, `size`, `full`), or refused for good
   */
  sendMessage(text) {
    this.markUsed();
    return this.#outbox.add(text, this.#link.joined?.max_message_bytes ?? MESSAGE);
  }

  /** @param {string} id of a failed one in `pending` */
  retryMessage(id) {
    this.#outbox.retry(id);
  }

  /** @param {string} id of one in `pending` */
  discardMessage(id) {
    this.#outbox.discard(id);
  }

  /**
   * Sends a message of the application's own to the agent.
   *
   * @param {Message} message
   * @returns {Promise<void>} when it was sent
   * @throws {SessionError}
   */
  async sendData(message) {
    await this.#ask("messages", { id: uuid(), message });
  }

  /**
   * A surface on screen wants pictures.
   *
   * @param {string} key one a surface
   * @param {{height: number}} size in device pixels
   */
  retainVideo(key, { height }) {
    this.retainSurface(key);
    if (this.#watchers.retain(key, height)) this.#beat.now();
  }

  /** @param {string} key */
  releaseVideo(key) {
    if (this.#watchers.release(key)) this.#beat.now();
  }

  /** @param {string} key of a surface that is shown, small or large: an automatic connect waits for one */
  retainSurface(key) {
    if (this.#watchers.show(key, true)) this.#tell("surfaces");
  }

  /** @param {string} key */
  releaseSurface(key) {
    this.releaseVideo(key);
    if (this.#watchers.show(key, false)) this.#tell("surfaces");
  }

  /** The surfaces shown now. @returns {ReadonlySet<string>} */
  get surfaces() {
    return this.#watchers.shown;
  }

  /** @param {SourceKind} kind asks the user, then the session; see `sources` */
  async take(kind) {
    this.markUsed();
    await this.#sources.take(kind);
  }

  /** @param {SourceKind} kind */
  async release(kind) {
    await this.#sources.release(kind);
  }

  /** @param {SourceKind} kind @param {boolean} muted */
  async setSourceMuted(kind, muted) {
    await this.#sources.mute(kind, muted);
  }

  /** @param {boolean} muted */
  setSpeakerMuted(muted) {
    this.#record.write("muted", muted || null);
    this.#sound.mute(muted);
  }

  /** In a gesture of the user's: lets the browser play sound. */
  async unblockSound() {
    await this.#sound.unblock();
  }

  /** A person used this page: the agent's commands come here. */
  markUsed() {
    if (this.info?.active !== true) this.#beat.used();
  }

  /** @returns {Promise<RTCStatsReport> | null} of the media connection */
  statistics() {
    return this.#media.statistics();
  }

  /**
   * @param {string} path
   * @param {unknown} json
   * @param {number} [limit]
   */
  async #ask(path, json, limit) {
    if (this.link.phase === "idle") this.open();
    await live(this);
    await this.#http.json("POST", path, { json, ...(limit ? { limit } : {}) });
  }

  /** @param {Joined} joined */
  #joined(joined) {
    const { cursor } = this.#follower;
    if (cursor !== null && !cursor.startsWith(`${joined.session}:`)) this.#follower = new Follower();
    if (this.#known) this.#media.renew();
    this.#known = true;
    this.info = null;
    this.#beat.start(joined.beat_seconds);
    this.#update();
    this.#sources.suspend();
  }

  /** @param {string} kind @param {any} data */
  #take(kind, data) {
    if (kind === "snapshot") {
      this.#follower.snapshot(data);
      this.#stateChanged();
    } else if (kind === "event") {
      const { state } = this.#follower;
      const told = this.#follower.event(data);
      if (this.#follower.state !== state) this.#stateChanged();
      if (told !== null) this.dispatchEvent(Object.assign(new CustomEvent("event", { detail: told }), { line: data }));
    } else if (kind === "command") {
      void this.#commands.take(this.#follower.session ?? "", data);
    } else if (kind === "info") {
      this.info = data;
      this.#tell("info");
    } else if (kind === "lagged") this.#tell("lagged", { missed: data.missed });
  }

  #stateChanged() {
    const { state } = this.#follower;
    if (state === null) return;
    this.state = state;
    this.#sources.follow(state);
    this.#update();
    this.#tell("state");
  }

  #linkChanged() {
    if (this.#link.joined === null) {
      this.#beat.stop();
      this.info = null;
    }
    this.#update();
    this.#tell("link");
  }

  #sourcesChanged() {
    this.#update();
    this.#tell("sources");
  }

  #mediaChanged() {
    this.#loudness.watch(this.media.phase === "live");
    this.#tell("media");
  }

  /** What is done follows from where the link and the session are. */
  #update() {
    const { connection_state: phase, agent_active = false } = this.state ?? {};
    const talk = this.#link.joined?.grants.includes("talk") ?? false;
    const there = this.link.phase === "live" && phase === "connected" && agent_active;
    this.#outbox.update(there && talk);
    const wanted = phase === undefined ? this.#hint : phase === "connected" || phase === "connecting";
    this.#media.update(wanted || this.#sources.busy, this.#link.joined !== null);
  }

  #remember() {
    const { cursor } = this.#follower;
    this.#record.leave({ key: this.#http.key ?? this.#link.previous, cursor, media: this.media.phase !== "off" });
  }

  #leave() {
    this.#remember();
    this.#beat.stop();
    this.#link.leave();
    this.#sources.close();
    this.#media.close();
  }

  #wake() {
    this.#link.wake();
    this.#media.wake();
    this.#beat.now();
  }

  /** @param {string} kind @param {unknown} [detail] */
  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
