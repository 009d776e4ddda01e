// @ts-check
/** Notices beside a conversation, the most serious first, and what the server's codes mean to a person. */

import { SOURCES } from "../client/peer.js";

/** @import { Key, Translate } from "./strings.js" */
/** @import { Client, Link, SourceKind } from "./types.js" */

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
]);

/** @type {ReadonlyMap<string | undefined, Key>} */
const WAITS = new Map([
  ["full", "waitFull"],
  ["rate", "waitRate"],
  ["unmounted", "waitUnmounted"],
]);

/** The owner's name if it is a page: the surface's key and the viewer, meaningless to a person. */
const PAGE = /^[^/]+\/v[0-9a-z]+$/i;

/**
 * @param {Client} client
 * @param {import("./model.js").Phase} phase
 * @param {Translate} t
 * @param {{name: string, now: number}} given
 * @returns {Notice[]}
 */
export function noticesOf(client, phase, t, { name, now }) {
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
  if (!connected || link.phase === "refused" || link.phase === "ended") return notices;
  for (const kind of SOURCES) notices.push(...sourceNotice(client, kind, t));
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
 * @returns {Notice[]}
 */
function sourceNotice(client, kind, t) {
  const source = client.sources?.[kind];
  switch (source?.phase) {
    case "asking":
      return [notice(kind, "info", t(`${kind}Asking`))];
    case "denied":
      return [dismissable(kind, "error", t(`${kind}Denied`))];
    case "unavailable":
      return [dismissable(kind, "error", t(`${kind}Unavailable`))];
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
