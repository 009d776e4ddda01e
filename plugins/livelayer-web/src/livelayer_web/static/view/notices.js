// @ts-check
/** Notices beside a conversation, the most serious first, and what the server's codes mean to a person. */

import { SOURCES } from "../client/peer.js";

/** @import { Key, Translate } from "./strings.js" */
/** @import { Client, Link, Source, SourceKind } from "./types.js" */

const GREETING = 3; // lines after which a person has noticed that the conversation is a new one

/**
 * @typedef {object} Notice
 * @property {string} id the same as long as its cause lasts
 * @property {"info" | "warn" | "error"} tone
 * @property {string} text
 * @property {string} spoken the text without a countdown
 * @property {import("./model.js").Action | null} action
 * @property {boolean} dismissable
 */

/** @type {ReadonlyMap<string | undefined, Key>} */
const REFUSALS = new Map([
  ["expired", "refusedExpired"],
  ["replayed", "refusedReplayed"],
  ["token", "refusedToken"],
  ["revoked", "hintRevoked"],
  ["origin", "refusedOrigin"],
  ["host", "refusedHost"],
  ["grant", "refusedGrant"],
  ["login", "refusedLogin"],
  ["agent", "refusedSetup"],
  ["misrouted", "refusedSetup"],
  ["workers", "refusedSetup"],
]);

/** @type {ReadonlyMap<string | undefined, Key>} */
const WAITS = new Map([
  ["full", "waitFull"],
  ["rate", "waitRate"],
  ["unmounted", "waitUnmounted"],
]);

/** Why there is no picture and no sound. @type {ReadonlyMap<string | null | undefined, Key>} */
const UNSEEN = new Map([
  ["media", "mediaUnavailable"],
  ["media_ports", "mediaFull"],
]);

/** The owner's name if it is a page: the surface's key and the viewer, meaningless to a person. */
const PAGE = /^[^/]+\/v[0-9a-z]+$/i;

/**
 * @param {Client} client
 * @param {import("./model.js").Phase} phase
 * @param {Translate} t
 * @param {{name: string, now: number, may: import("./model.js").Permissions}} given
 * @returns {Notice[]}
 */
export function noticesOf(client, phase, t, { name, now, may }) {
  const { state, link } = client;
  /** @type {Notice[]} */
  const notices = [];
  const connected = state?.connection_state === "connected";
  if (phase === "recovering" && connected) {
    const title = t("phaseRecovering");
    notices.push({
      ...notice("link", "warn", `${title}. ${recoveringHint(link, t, now)}`, "retry"),
      spoken: `${title}. ${recoveringHint({ ...link, retryAt: 0 }, t, now)}`,
    });
  }
  if (phase === "reconnecting") {
    notices.push(notice("room", "warn", `${t("phaseReconnecting")}. ${t("hintReconnecting")}`));
  }
  if (state?.error && connected && phase !== "absent") {
    notices.push(dismissable("agent", "error", t("agentError", { name, reason: state.error })));
  }
  const afresh = connected && state?.continued === false && state.transcript.length < GREETING;
  if (afresh) notices.push({ ...notice("afresh", "info", t("startsAfresh")), dismissable: true });
  if (connected && state.recording?.length) {
    notices.push({ ...notice("recording", "info", t("isRecorded")), dismissable: true });
  }
  const here = connected || state?.connection_state === "connecting";
  if (!here || link.phase === "refused" || link.phase === "ended") return notices;
  for (const kind of SOURCES) if (may[kind]) notices.push(...sourceNotice(client, kind, t, name));
  const words = UNSEEN.get(client.media?.code);
  if (words !== undefined && client.media?.phase !== "live") notices.push(notice("media", "warn", t(words)));
  const { code, device } = client.speaker ?? {};
  if (code) {
    const why = code === "SPEAKER_UNPLUGGED" ? "speakerUnplugged" : "deviceFailed";
    notices.push(dismissable("speaker", "warn", t(why, { device: device ?? t("speakerDevices") })));
  }
  return notices;
}

/** @param {Link | undefined} link @param {Translate} t @param {number} now */
export function recoveringHint(link, t, now) {
  const seconds = Math.ceil(((link?.retryAt ?? 0) - now) / 1000);
  const hint = seconds > 0 ? t("hintRecoveringIn", { seconds }) : t("hintRecovering");
  return `${waiting(link?.code, t)} ${hint}`.trimStart();
}

/**
 * @param {Client} client
 * @param {SourceKind} kind
 * @param {Translate} t
 * @param {string} name the agent's
 * @returns {Notice[]}
 */
function sourceNotice(client, kind, t, name) {
  const source = client.sources?.[kind];
  switch (source?.phase) {
    case "asking":
      return [notice(kind, "info", t(`${kind}Asking`))];
    case "waiting":
    case "on": {
      const notices = changed(kind, source, t);
      if (source.silenced && kind !== "screen") notices.push(notice(`${kind}-silenced`, "warn", t(`${kind}Silenced`)));
      const early = kind === "microphone" && !source.muted && !source.silenced && !client.state?.agent_active;
      if (early) notices.push(notice("microphone-waiting", "info", t("microphoneWaiting", { name })));
      return notices;
    }
    case "denied":
    case "unavailable":
      return [{ ...dismissable(kind, "error", t(failed(kind, source))), action: kind === "screen" ? null : `${kind}On` }];
    case "busy": {
      const owner = source.owner || t("someone");
      const words = PAGE.test(owner) ? t(`${kind}Elsewhere`) : t(`${kind}Busy`, { owner });
      return [dismissable(kind, "warn", words)];
    }
    default:
      return [];
  }
}

/**
 * Says that another device is used than the one that was.
 *
 * @param {SourceKind} kind
 * @param {Source} source
 * @param {Translate} t
 * @returns {Notice[]}
 */
function changed(kind, { code, device }, t) {
  if (!code || kind === "screen") return [];
  const words = code.endsWith("_UNPLUGGED") ? /** @type {const} */ (`${kind}Unplugged`) : "deviceFailed";
  return [dismissable(kind, "warn", t(words, { device: device ?? t(`${kind}Devices`) }))];
}

/**
 * What went wrong, and what to do.
 *
 * @param {SourceKind} kind
 * @param {Source} source
 * @returns {Key}
 */
function failed(kind, { phase, code }) {
  if (phase === "denied") return `${kind}Denied`;
  if (kind === "screen") return "screenUnavailable";
  const what = /_(NOT_FOUND|IN_USE|UNPLUGGED)$/.exec(code ?? "")?.[1];
  if (what === "NOT_FOUND") return `${kind}Missing`;
  if (what === "IN_USE") return `${kind}InUse`;
  return what === "UNPLUGGED" ? `${kind}Lost` : `${kind}Unavailable`;
}

/**
 * @param {string} id
 * @param {Notice["tone"]} tone
 * @param {string} text
 * @param {Notice["action"]} [action]
 * @returns {Notice}
 */
function notice(id, tone, text, action = null) {
  return { id, tone, text, spoken: text, action, dismissable: false };
}

/** @param {string} id @param {Notice["tone"]} tone @param {string} text */
function dismissable(id, tone, text) {
  return { ...notice(id, tone, text), dismissable: true };
}

/**
 * Why the server refuses this page.
 *
 * @param {string | undefined} code
 * @param {Translate} t
 * @returns {string} a general sentence for a code that is not known
 */
export function refusal(code, t) {
  return t(REFUSALS.get(code) ?? "hintRefused");
}

/**
 * Why the server makes this page wait.
 *
 * @param {string | undefined} code
 * @param {Translate} t
 * @returns {string} empty for any other code
 */
export function waiting(code, t) {
  const key = WAITS.get(code);
  return key === undefined ? "" : t(key);
}
