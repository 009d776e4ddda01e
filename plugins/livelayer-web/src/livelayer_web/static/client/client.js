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
import { Peer } from "./peer.js";
import { RoomPeer } from "./room-peer.js";
import { SessionLocator } from "./session-locator.js";
import { TabStorage, storageOf } from "./storage.js";
import { Speaker } from "./speaker.js";
import { Sources } from "./sources.js";

/** @import { DeviceKind, Info, Joined, LinkState, Message, SessionState, SourceKind } from "./types.js" */

const MESSAGE = 15_360; // bytes, until the server says otherwise
const CONNECT = 40; // seconds that connecting may take
const AWAY = 30; // seconds without its server after which a page stops watching through the LiveKit server
const MISSES = 2; // failures to reach the LiveKit server after which `auto` takes the other way

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
  /** What is sent, where it does not go the way of what is received. */
  #uplink;
  /** Whether this page receives from the LiveKit server. */
  #sfu = false;
  #misses = 0;
  #away = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #leaving;
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
    const nothing = { video: false, audio: false };
    this.#heartbeat = new Heartbeat(http, () => (this.#sfu ? nothing : this.#wants), () => this.#link.lost());
    this.#speaker = new Speaker(this.#storage.read("muted", false), () => this.#tell("speaker"));
    const agent = () => this.state?.agent_identity ?? null;
    const whep = (/** @type {() => void} */ ended) =>
      new Peer(http, ended, /** @type {readonly RTCIceServer[]} */ (this.joined?.ice_servers ?? []));
    this.#media = new Media({
      changed: () => this.#mediaChanged(),
      sound: (track) => this.#speaker.attach(track),
      source: (kind) => this.#sources.track(kind),
      renewed: () => void (this.#sfu || this.#sources.renew()),
      watched: () => this.#wants.video,
      peer: (ended, tracks) => {
        const sure = this.joined?.media === "sfu";
        return this.#sfu ? new RoomPeer(http, { ended, tracks, agent, wants: () => this.#wants, sure }) : whep(ended);
      },
      retry: (code) => this.#isWithout(code),
    });
    this.#uplink = new Media({
      changed: () => {},
      sound: () => {},
      source: (kind) => this.#sources.track(kind),
      renewed: () => void this.#sources.renew(),
      watched: () => false,
      peer: whep,
    });
    this.#sources = new Sources(http, this.#devices, {
      changed: () => this.#sourcesChanged(),
      ready: () => this.#sender.ready(),
      missing: () => this.#sender.renew(),
      send: (kind) => this.#sender.send(kind, this.#sources.track(kind)),
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
    this.#closeMedia();
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
    this.#wanted();
  }

  /** @param {string} key */
  releaseVideo(key) {
    if (this.#heights.delete(key)) this.#wanted();
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
    this.#route(joined.media !== "whep");
    this.#misses = 0;
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
      if (this.#sfu && this.media.phase === "live") void this.#media.reviewRoom();
    } else if (kind === "event") {
      const { state } = this.#store;
      const told = this.#store.event(data);
      if (this.#sfu && isInRoom(data.event)) void this.#media.reviewRoom();
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
    this.#media.look();
    this.#tell("state");
  }

  #linkChanged() {
    if (this.link.phase === "live") void this.#description.send();
    if (this.#link.joined === null) {
      this.#heartbeat.stop();
      this.info = null;
    }
    clearTimeout(this.#leaving);
    this.#away = this.#sfu && ["refused", "ended"].includes(this.link.phase);
    if (this.#away) this.#media.close();
    else if (this.link.phase === "recovering") this.#leaving = setTimeout(() => this.#leaveRoom(), AWAY * 1000);
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
    const known = phase === "connected" || (phase === "connecting" && !this.#sfu);
    const wanted = (phase === undefined ? this.#hint : known) && !this.#away;
    const joined = this.#link.joined !== null;
    this.#media.update(wanted || (this.#sources.busy && !this.#sfu), joined);
    this.#uplink.update(this.#sources.busy && this.#sfu, joined);
  }

  /** What carries this page's own sources. */
  get #sender() {
    return this.#sfu ? this.#uplink : this.#media;
  }

  /** What surfaces want has changed. */
  #wanted() {
    this.#heartbeat.soon();
    this.#media.look();
  }

  /** @param {boolean} sfu whether to receive from the LiveKit server */
  #route(sfu) {
    const same = this.#sfu === sfu;
    this.#sfu = sfu;
    if (!this.#known) this.#known = true;
    else if (!sfu || !same) this.#media.renew();
    else void this.#media.reviewRoom();
    if (sfu) this.#uplink.renew();
  }

  /**
   * Whether `auto` goes on without the LiveKit server: the page gets no access to it, or cannot
   * reach it.
   *
   * @param {string} code why it did not connect
   */
  #isWithout(code) {
    if (!this.#sfu || this.joined?.media !== "auto") return false;
    if (code === "livekit") this.#misses += 1;
    if (code !== "unsupported" && this.#misses < MISSES) return false;
    this.#sfu = false;
    this.#wanted();
    this.#update();
    return true;
  }

  /** No server says any more that this page may watch. */
  #leaveRoom() {
    this.#away = this.#sfu;
    this.#update();
  }

  #closeMedia() {
    clearTimeout(this.#leaving);
    this.#media.close();
    this.#uplink.close();
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
      seen: () => (document.visibilityState === "visible" ? wake() : this.#wanted()),
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
    this.#closeMedia();
  }

  #wake() {
    this.#link.wake();
    this.#media.wake();
    this.#uplink.wake();
    this.#wanted();
  }

  /** @param {string} kind @param {unknown} [detail] */
  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

/**
 * Whether after this event the session is in a room that it was not in before.
 *
 * @param {import("./types.js").SessionEvent} event
 */
function isInRoom({ event, rejoined, state }) {
  return event === "Reconnected" ? rejoined : event === "ConnectionStateChanged" && state === "connected";
}
