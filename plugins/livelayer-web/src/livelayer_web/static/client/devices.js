// @ts-check
/** Which microphones, cameras and speakers there are, and which of them a person chose. */

import { readJson, storageOf, writeJson } from "./storage.js";

/** @import { Device, DeviceKind, DeviceState } from "./types.js" */

/** @type {Record<DeviceKind, MediaDeviceKind>} */
const TYPES = { microphone: "audioinput", camera: "videoinput", speaker: "audiooutput" };
/** @type {readonly DeviceKind[]} */
export const DEVICES = ["microphone", "camera", "speaker"];
const KEY = "livelayer:devices";
const ALIASES = ["", "default", "communications"]; // not devices of their own

/**
 * Guarantee: the lists follow what is plugged in and out while `watch` lasts. A choice is
 * remembered for every page of the site, by identifier and, where the browser has made new ones,
 * by label; while the device is gone, the default is used.
 */
export class Devices {
  /** @type {readonly MediaDeviceInfo[]} */
  #all = [];
  /** @type {Partial<Record<DeviceKind, Device>>} */
  #choices;
  #turn = 0;
  /** The turn that `#all` comes from. */
  #read = 0;
  /** @type {AbortController | null} */
  #life = null;

  /**
   * @param {(plugged: boolean) => void} changed `plugged`: the lists changed, and not a choice
   * @param {Storage | null} [storage] null: a choice lasts as long as the page
   */
  constructor(changed, storage = storageOf("localStorage")) {
    this.changed = changed;
    this.storage = storage;
    this.#choices = read(storage);
  }

  /** The lists hold devices only once the browser names them: after a first permission. */
  get state() {
    const entries = DEVICES.map((kind) => [kind, { list: this.#list(kind), chosen: this.find(kind)?.id ?? null }]);
    return /** @type {Record<DeviceKind, DeviceState>} */ (Object.fromEntries(entries));
  }

  /** The chosen device, if it is there. @param {DeviceKind} kind @returns {Device | null} */
  find(kind) {
    const choice = this.#choices[kind];
    const list = choice === undefined ? [] : this.#list(kind);
    const named = list.find(({ label }) => label === choice?.label) ?? null;
    return list.find(({ id }) => id === choice?.id) ?? named;
  }

  /** What was chosen, whether it is there or not. @param {DeviceKind} kind @returns {Device | null} */
  chosen(kind) {
    return this.#choices[kind] ?? null;
  }

  /** @param {DeviceKind} kind @param {Device | null} device null: the default */
  choose(kind, device) {
    this.#choices = replaced(this.#choices, kind, device);
    // Another tab may have written the choice of another kind.
    writeJson(this.storage, KEY, replaced(read(this.storage), kind, device));
    this.changed(false);
  }

  /**
   * Whether a track's device is there; "hidden": the browser does not name devices (any more).
   *
   * @param {DeviceKind} kind
   * @param {MediaStreamTrack} track
   * @returns {"here" | "gone" | "hidden"}
   */
  whereIs(kind, track) {
    const { deviceId, groupId } = track.getSettings();
    const all = this.#all.filter((one) => one.kind === TYPES[kind]);
    if (all.some((one) => one.deviceId === "")) return "hidden";
    // The default is an alias: its group is the device behind it.
    const group = ALIASES.includes(deviceId ?? "") ? groupId : undefined;
    const same = all.some((one) => (group ? one.groupId === group : one.deviceId === deviceId));
    return same || deviceId === undefined ? "here" : "gone";
  }

  /** Follows what is plugged in and out. */
  watch() {
    if (this.#life !== null) return;
    this.#life = new AbortController();
    const { signal } = this.#life;
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.refresh(), { signal });
    void this.refresh();
  }

  close() {
    this.#life?.abort();
    this.#life = null;
  }

  /** Reads the lists anew. */
  async refresh() {
    const turn = (this.#turn += 1);
    /** @type {readonly MediaDeviceInfo[]} */
    let all = [];
    try {
      all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    } catch {
      // Not allowed on this page: there is only the default.
    }
    if (turn < this.#read) return; // a later one was faster
    this.#read = turn;
    if (JSON.stringify(all) === JSON.stringify(this.#all)) return;
    this.#all = all;
    this.changed(true);
  }

  /** @param {DeviceKind} kind @returns {Device[]} */
  #list(kind) {
    if (kind === "speaker" && !("setSinkId" in HTMLMediaElement.prototype)) return [];
    return this.#all
      .filter((one) => one.kind === TYPES[kind] && !ALIASES.includes(one.deviceId) && one.label !== "")
      .map(({ deviceId, label }) => ({ id: deviceId, label }));
  }
}

/**
 * @param {Partial<Record<DeviceKind, Device>>} choices
 * @param {DeviceKind} kind
 * @param {Device | null} device
 */
function replaced(choices, kind, device) {
  const { [kind]: _, ...others } = choices;
  return device === null ? others : { ...others, [kind]: device };
}

/** @param {Storage | null} storage */
function read(storage) {
  const kept = readJson(storage, KEY, /** @type {any} */ (null));
  /** @type {Partial<Record<DeviceKind, Device>>} */
  const choices = {};
  for (const kind of DEVICES) {
    const { id, label } = kept?.[kind] ?? {};
    if (typeof id === "string" && typeof label === "string") choices[kind] = { id, label };
  }
  return choices;
}
