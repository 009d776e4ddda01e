// @ts-check
/** A page's client of a session: one link, one media connection, any number of surfaces. */

import { Devices } from "./devices.js";
import { Heartbeat } from "./heartbeat.js";
import { CommandReceiver } from "./command-receiver.js";
import { SessionError } from "./errors.js";
import { SessionStore } from "./session-store.js";
import { Http, ownBase } from "./http.js";
import { watchLifecycle } from "./lifecycle.js";
import { Link, whenLive } from "./link.js";
import { LevelTicker } from "./audio-level.js";
import { Media } from "./media.js";
import { Outbox, uuid } from "./outbox.js";
import { PageDescription } from "./page-description.js";
import { SessionLocator } from "./session-locator.js";
import { TabStorage, storageOf } from "./storage.js";
import { Speaker } from "./speaker.js";
import { Sources } from "./sources.js";

/** @import { DeviceKind, Info, Joined, LinkState, Message, SessionState, SourceKind } from "./types.js" */

const MESSAGE = 15_360; // bytes, until the server says otherwise
const CONNECT = 40; // seconds that connecting may take

/**
 * Guarantee: `state` is the session's, event by event. Every event is dispatched once and in order,
 * across network failures and reloads (`event`), unless the server reports that some were lost
 * (`lagged`). It joins nothing before `open()`.
 *
 * Events (CustomEvent): `state`, `event` (detail: the event, with its `line` beside it), `lagged`,
 * `link`, `polling`, `media`, `sources`, `devices`, `info`, `pending`, `level`, `speaker`, `surfaces`,
 * `command` (detail `{command, ok, reason}`).
 */
export class SessionClient extends EventTarget {
  /** @type {SessionState | null} */
  state = null;
  /** @type {Info | null} */
  info = null;
  #http;
  /** @type {TabStorage} */
  #storage;
  #link;
  #store = new SessionStore();
  #heartbeat;
  #media;
  #speaker;
  #devices = new Devices((plugged) => this.#devicesChanged(plugged));
  #sources;
  #outbox;
  #description;
  #commands;
  /** @type {AbortController | null} */
  #lifecycle = null;
  /** The surfaces shown now, small or large. @type {Set<string>} */
  #surfaces = new Set();
  /** The heights of the pictures that surfaces want, in device pixels. @type {Map<string, number>} */
  #heights = new Map();
  #levelTicker = new LevelTicker(() => this.level, (level) => this.#tell("level", level));
  /** Whether it has resumed what an earlier page of this tab left. */
  #resumed = false;
  /** There was a media connection before the reload: connect before the state is known. */
  #hint = false;
  #known = false;

  /**
   * @param {{base?: string, token?: string | null, agentId?: string | null, storage?: Storage | null}} [options]
   *   `base`: where the surface is mounted (by default, where these modules are from); `token`: a viewer token; `agentId`: open a
   *   session of this page's own with this agent; `storage`: survives a reload (the tab's session storage)
   */
  constructor({ base = ownBase(), token = null, agentId = null, storage = storageOf("sessionStorage") } = {}) {
    super();
    const http = new Http(base);
    this.#http = http;
    this.#storage = new TabStorage(agentId === null ? http.base : `${http.base}#${agentId}`, storage);
    const locator = new SessionLocator(http, this.#storage, agentId);
    this.#link = new Link(http, {
      phase: () => this.#linkChanged(),
      joined: (joined) => this.#joined(joined),
      event: (kind, data) => this.#take(kind, data),
      cursor: () => this.#store.cursor,
      heard: () => this.#heartbeat.pulse(),
      polling: () => this.#pollingChanged(),
      place: (signal, anew, bearer) => locator.find(signal, anew, bearer),
    });
    this.#link.token = token;
    if (this.#storage.read("polling", false)) this.#link.polling.suspect(0);
    this.#heartbeat = new Heartbeat(http, () => this.#wants, () => this.#link.lost());
    this.#speaker = new Speaker(this.#storage.read("muted", false), () => this.#tell("speaker"));
    this.#media = new Media(http, {
      changed: () => this.#mediaChanged(),
      sound: (track) => this.#speaker.attach(track),
      source: (kind) => this.#sources.track(kind),
      renewed: () => void this.#sources.renew(),
      watched: () => this.#wants.video,
      servers: () => /** @type {readonly RTCIceServer[]} */ (this.joined?.ice_servers ?? []),
    });
    this.#sources = new Sources(http, this.#devices, {
      changed: () => this.#sourcesChanged(),
      ready: () => this.#media.ready(),
      missing: () => this.#media.renew(),
      send: (kind) => this.#media.send(kind, this.#sources.track(kind)),
    });
    const pending = () => this.#tell("pending");
    this.#outbox = new Outbox(http, this.#storage, pending, (error) => error.stranger && this.#link.lost());
    this.#description = new PageDescription(http);
    this.#commands = new CommandReceiver(http, this.#storage, ({ type }, { ok, reason }) =>
      this.#tell("command", { command: type, ok, reason }),
    );
  }

  /** @returns {LinkState} */
  get link() {
    return this.#link.state;
  }

  /** Whether events come by long polls, since a proxy holds event streams back. */
  get polling() {
    return this.#link.polling.on;
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
    return this.#speaker.meter.level;
  }

  get speaker() {
    return this.#speaker.state;
  }

  get sources() {
    return this.#sources.all;
  }

  /** The microphones, cameras and speakers there are, once the browser names them. */
  get devices() {
    return this.#devices.state;
  }

  /** Typed messages that the server has not taken, oldest first. */
  get pending() {
    return this.#outbox.pending;
  }

  /** A viewer token; a new one ends a refusal. */
  set token(/** @type {string | null} */ token) {
    this.#link.setToken(token);
  }

  /** Called for a token if there is none, or it was refused. */
  set tokenProvider(/** @type {import("./link.js").TokenProvider | null} */ provider) {
    this.#link.tokenProvider = provider;
    if (provider !== null && this.link.phase === "refused") this.#link.open();
  }

  /** Carries out the agent's commands on this page. @returns {import("./command-receiver.js").CarryOut | null} */
  get carryOut() {
    return this.#commands.carryOut;
  }

  set carryOut(carryOut) {
    this.#commands.carryOut = carryOut;
  }

  /** Whether the agent may do something on this page. @param {string} capability */
  isAllowed = (capability) => this.joined?.capabilities.includes(capability) ?? false;

  /** What the agent asks, and a person may answer on this page; oldest first. */
  get approvals() {
    const asked = this.joined?.grants.includes("talk") && this.isAllowed("ask_approval");
    return asked ? (this.state?.approvals ?? []) : [];
  }

  /** Joins the server; after a failure, a refusal or the end, tries again at once. */
  open() {
    if (!this.#resumed) {
      this.#resumed = true;
      const left = this.#storage.take();
      this.#link.previous = left?.key ?? null;
      this.#store = new SessionStore(left?.cursor ?? null);
      this.#hint = left?.media ?? false;
    }
    this.#lifecycle ??= this.#watch();
    this.#devices.watch();
    this.#link.open();
  }

  /** Leaves the server; the session continues without this page. */
  close() {
    this.#lifecycle?.abort();
    this.#lifecycle = null;
    this.#heartbeat.stop();
    this.#devices.close();
    this.#sources.close();
    this.#media.close();
    this.#speaker.close();
    this.#link.close();
    this.#storage.take();
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

  /** Stops what the agent says; returns when the agent was told. @throws {SessionError} */
  async interrupt() {
    this.markUsed();
    await this.#ask("interrupt", {});
  }

  /**
   * Answers what the agent asks. The first answer counts, of whatever page or surface.
   *
   * @param {number} number of one in `approvals`
   * @param {boolean} approved
   * @throws {SessionError} `settled`: it has another outcome already
   */
  async answerApproval(number, approved) {
    await this.#ask(`approvals/${number}`, { approved });
  }

  /**
   * Controls the recording of `info.replay`, for everybody.
   *
   * @param {import("./types.js").ReplayBody} change
   * @throws {SessionError} `no_replay`: the session is live
   */
  async controlReplay(change) {
    await this.#ask("control/replay", change);
  }

  /**
   * Sends a typed message, now or as soon as possible; it survives network failures and reloads.
   *
   * @param {string} text
   * @returns {Promise<string>} its id, when the server has taken it
   * @throws {SessionError} not accepted (`message`, `size`, `full`), not allowed, or refused by the server
   */
  sendMessage(text) {
    this.markUsed();
    const { typing = true, grants } = this.#link.joined ?? {};
    const code = grants?.includes("talk") ? "not_allowed" : "grant";
    if (!typing) return Promise.reject(new SessionError(code, "this page may not type"));
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
   * The lines before `entry`, oldest first, which `state.transcript` may have left out.
   *
   * @param {import("./types.js").TranscriptEntry} entry
   * @returns {Promise<readonly import("./types.js").TranscriptEntry[]>} none at the beginning
   * @throws {SessionError}
   */
  async earlierTranscript({ id, opened, sender }) {
    const { entries } = await this.#http.json("POST", "transcript", { json: { id, opened, sender } });
    return entries;
  }

  /**
   * A visible surface wants video.
   *
   * @param {string} key one for each surface
   * @param {{height: number}} size in device pixels
   */
  retainVideo(key, { height }) {
    this.retainSurface(key);
    if (this.#heights.get(key) === height) return;
    this.#heights.set(key, height);
    this.#heartbeat.soon();
  }

  /** @param {string} key */
  releaseVideo(key) {
    if (this.#heights.delete(key)) this.#heartbeat.soon();
  }

  /** @param {string} key of a surface that is shown, small or large: an automatic connect waits for one */
  retainSurface(key) {
    if (this.#surfaces.has(key)) return;
    this.#surfaces.add(key);
    this.#tell("surfaces");
  }

  /** @param {string} key */
  releaseSurface(key) {
    this.releaseVideo(key);
    if (this.#surfaces.delete(key)) this.#tell("surfaces");
  }

  /** The surfaces shown now. @returns {ReadonlySet<string>} */
  get surfaces() {
    return this.#surfaces;
  }

  /** @returns {import("./heartbeat.js").Wants} */
  get #wants() {
    // Audio continues in a hidden tab; video is for visible pages.
    if (this.#heights.size === 0 || document.visibilityState !== "visible") return { video: false, audio: true };
    return { video: true, audio: true, height: Math.max(1, Math.ceil(Math.max(...this.#heights.values()))) };
  }

  /** @param {SourceKind} kind asks the user, then the session; see `sources` */
  async take(kind) {
    this.markUsed();
    if (this.#link.joined?.sources.includes(kind) === false) this.#sources.refuse(kind);
    else await this.#sources.take(kind);
  }

  /** @param {SourceKind} kind */
  async release(kind) {
    await this.#sources.release(kind);
  }

  /** @param {SourceKind} kind @param {boolean} muted */
  async setSourceMuted(kind, muted) {
    await this.#sources.mute(kind, muted);
  }

  /**
   * Uses a device from now on, and remembers it; what is on keeps its lease. A device that cannot
   * be used changes nothing: the source's, or the speaker's, `code` says why.
   *
   * @param {DeviceKind} kind
   * @param {string | null} id one of `devices`; null: the default
   */
  async chooseDevice(kind, id) {
    const device = this.devices[kind].list.find((one) => one.id === id) ?? null;
    if (kind !== "speaker") return await this.#sources.choose(kind, device);
    const before = this.#devices.chosen(kind);
    this.#devices.choose(kind, device);
    if (!(await this.#speaker.route(device))) this.#devices.choose(kind, before);
  }

  /** @param {boolean} muted */
  setSpeakerMuted(muted) {
    this.#storage.write("muted", muted || null);
    this.#speaker.mute(muted);
  }

  /** Lets the browser play audio; call it in a user gesture. */
  async unblockSound() {
    await this.#speaker.unblock();
  }

  /** Reports that a person used this page: the agent's commands go to it. */
  markUsed() {
    if (this.info?.active !== true) this.#heartbeat.markUsed();
  }

  /**
   * Describes this page to the agent, in the participant attribute `agent.context`, while it is the
   * page used last. `<livelayer-session>` does so by itself.
   *
   * @param {import("../page/agent-context.js").AgentContext | null} page null: it is not described
   */
  describePage(page) {
    this.#description.set(page);
  }

  /** @returns {Promise<RTCStatsReport> | null} of the media connection */
  statistics() {
    return this.#media.statistics();
  }

  /** @param {string} path @param {unknown} json @param {number} [limit] */
  async #ask(path, json, limit) {
    if (this.link.phase === "idle") this.open();
    await whenLive(this);
    await this.#http.json("POST", path, { json, ...(limit ? { limit } : {}) });
  }

  /** @param {Joined} joined */
  #joined(joined) {
    const { cursor } = this.#store;
    if (cursor !== null && !cursor.startsWith(`${joined.session}:`)) this.#store = new SessionStore();
    if (this.#known) this.#media.renew();
    this.#known = true;
    this.info = null;
    this.#description.forget();
    this.#heartbeat.start(joined.beat_seconds, this.#link.page);
    this.#update();
    this.#sources.suspend();
  }

  /** @param {string} kind @param {any} data */
  #take(kind, data) {
    if (kind === "snapshot") {
      this.#store.snapshot(data);
      this.#stateChanged();
    } else if (kind === "event") {
      const { state } = this.#store;
      const told = this.#store.event(data);
      if (this.#store.state !== state) this.#stateChanged();
      if (told !== null) this.dispatchEvent(Object.assign(new CustomEvent("event", { detail: told }), { line: data }));
    } else if (kind === "command") {
      void this.#commands.take(this.#store.session ?? "", data);
    } else if (kind === "info") {
      this.info = data;
      this.#tell("info");
    } else if (kind === "lagged") this.#tell("lagged", { missed: data.missed });
  }

  #stateChanged() {
    const { state } = this.#store;
    if (state === null) return;
    this.state = state;
    this.#sources.follow(state);
    this.#update();
    this.#tell("state");
  }

  #linkChanged() {
    if (this.link.phase === "live") void this.#description.send();
    if (this.#link.joined === null) {
      this.#heartbeat.stop();
      this.info = null;
    }
    this.#update();
    this.#tell("link");
  }

  #pollingChanged() {
    this.#storage.write("polling", this.polling || null);
    this.#tell("polling", { event: "Polling", polling: this.polling });
  }

  #sourcesChanged() {
    this.#update();
    this.#tell("sources");
  }

  /** @param {boolean} plugged */
  #devicesChanged(plugged) {
    if (plugged) {
      this.#sources.devicesChanged();
      this.#speaker.follow(this.#devices.find("speaker"));
    }
    this.#tell("devices");
  }

  #mediaChanged() {
    this.#levelTicker.watch(this.media.phase === "live");
    this.#tell("media");
  }

  /** Derives what outbox and media do from the states of link and session. */
  #update() {
    const { connection_state: phase, agent_active = false } = this.state ?? {};
    const talk = this.#link.joined?.grants.includes("talk") ?? false;
    const there = this.link.phase === "live" && phase === "connected" && agent_active;
    this.#outbox.update(there && talk);
    const wanted = phase === undefined ? this.#hint : phase === "connected" || phase === "connecting";
    this.#media.update(wanted || this.#sources.busy, this.#link.joined !== null);
  }

  #watch() {
    const wake = () => this.#wake();
    return watchLifecycle({
      leave: () => this.#leave(),
      freeze: () => {
        this.#remember();
        this.#link.freeze();
      },
      resume: () => {
        this.#storage.take();
        wake();
      },
      back: () => {
        this.#storage.take();
        this.#link.open();
      },
      wake,
      seen: () => (document.visibilityState === "visible" ? wake() : this.#heartbeat.soon()),
      used: () => this.markUsed(),
    });
  }

  #remember() {
    const { cursor } = this.#store;
    this.#storage.leave({ key: this.#http.key ?? this.#link.previous, cursor, media: this.media.phase !== "off" });
  }

  #leave() {
    this.#remember();
    this.#heartbeat.stop();
    this.#link.leave();
    this.#sources.close();
    this.#media.close();
  }

  #wake() {
    this.#link.wake();
    this.#media.wake();
    this.#heartbeat.soon();
  }

  /** @param {string} kind @param {unknown} [detail] */
  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
