// @ts-check
/** What the session's state means to a person: the phase, its texts, and the possible actions. */

import { readable } from "./activity.js";
import { noticesOf, recoveringHint, refusal } from "./notices.js";

/** @import { Translate } from "./strings.js" */
/** @import { Agent, Client, Member, State } from "./types.js" */

/**
 * @typedef {"missing" | "idle" | "connecting" | "joining" | "ready" | "listening" | "thinking"
 *   | "speaking" | "reconnecting" | "recovering" | "absent" | "error" | "ended" | "closed" | "refused"} Phase
 */

/** @typedef {"connect" | "resume" | "restart" | "retry" | "cancel" | "end" | "endForAll" | "leave" | "hear"
 *   | "interrupt" | "microphoneOn" | "cameraOn"} Action */

/**
 * @typedef {object} Model
 * @property {Phase} phase
 * @property {boolean} live there is a conversation, even if it is interrupted
 * @property {boolean} early controls are there before the agent: a microphone that is on or may be turned on, or a recording's
 * @property {boolean} calm nothing needs the person's attention
 * @property {string} name
 * @property {string} role the agent's role in the team
 * @property {string | null} image
 * @property {Known | null} known
 * @property {string | null} loop
 * @property {string} title
 * @property {string} hint
 * @property {Action | null} action the one thing to do now
 * @property {boolean} interruptible the agent speaks, and can be told to stop
 * @property {string} greeting what the page shows before the first word; empty: nothing, or it was said
 * @property {readonly string[]} suggestions what a person may say first; empty after the first word
 * @property {boolean} voice beginning the conversation turns the microphone on; unknown counts as yes
 * @property {boolean} writes a person may type now; what waits for the agent is kept
 * @property {boolean} talk this page may take part
 * @property {Permissions} may what a person may send from here
 * @property {boolean} control this page may connect, end and switch
 * @property {readonly Member[]} team the agents to choose from; empty if there is no choice
 * @property {string | null} agent the session's agent
 * @property {readonly import("./notices.js").Notice[]} notices
 */

/** @typedef {Record<import("./types.js").SourceKind | "typing", boolean>} Permissions */
/** @typedef {{agent: string, name: string, image: string | null}} Known the agent of a session, by its id */

const CALM = new Set(["ready", "listening", "thinking", "speaking"]);
/** Before the agent is there, and while the server is away: what is typed waits. */
const WAITS = new Set(["connecting", "joining", "recovering"]);

/**
 * The model of a client as it is now; a pure function of any client.
 *
 * @param {Client | null} client
 * @param {Translate} t
 * @param {object} [given]
 * @param {boolean} [given.asked] whether connecting was requested and has not started
 * @param {readonly Member[] | null} [given.team] the page's agents; null: the server's
 * @param {number} [given.now] as `Date.now()` counts
 * @param {boolean} [given.alone] whether the view opens a session of its own
 * @param {Known | null} [given.known] the agent as it was last known
 * @param {Partial<import("./attributes.js").SurfaceOptions>} [given.options] what the page chose
 * @returns {Model}
 */
export function describe(client, t, { asked = false, team = null, now = 0, alone = false, known = null, options = {} } = {}) {
  const phase = client === null && alone ? "idle" : phaseOf(client, asked);
  const state = client?.state ?? null;
  const members = team ?? (client?.joined?.agents ?? []).map(offered);
  const member = members.find((one) => one.agent === state?.agent_id);
  const config = state?.agent_config;
  const { agentName, avatarImageUrl, greeting = "", suggestions = [] } = options;
  // A server that has just started does not know the agent before the next conversation.
  const before = known !== null && (state === null || state.agent_id === known.agent) ? known : null;
  const found = config?.name || member?.name;
  const image = config?.avatarImageUrl || member?.image || null;
  const met = state !== null && found ? { agent: state.agent_id, name: found, image } : before;
  const name = agentName || met?.name || t("assistant");
  const grants = client?.joined?.grants;
  const control = grants?.includes("control") ?? true;
  const calm = CALM.has(phase);
  const tool = phase === "thinking" ? state?.tools?.at(-1) : undefined;
  const talk = grants?.includes("talk") ?? true;
  const may = permissionsOf(client, options);
  const quiet = !state?.transcript?.some((entry) => entry.text);
  const live = calm || (!["joining", "absent"].includes(phase) && state?.connection_state === "connected" && isOurs(client));
  const writes = may.typing && talk && (live || WAITS.has(phase) || (phase === "idle" && control));
  return {
    phase,
    live,
    early: ((phase === "connecting" || phase === "joining") && may.microphone) || isHeld(client) || Boolean(client?.info?.replay),
    calm,
    name,
    role: member?.role ?? "",
    image: avatarImageUrl || image || met?.image || null,
    known: met,
    loop: options.idleLoopUrl || config?.idleLoopUrl || null,
    title: tool ? t("toolRuns", { tool: readable(tool.name) }) : titleOf(phase, t),
    hint: hintOf(phase, client, t, { name, control, now, may, options }),
    action: actionOf(phase, state, control),
    greeting: quiet ? greeting : "",
    suggestions: quiet && writes && !client?.pending?.length ? suggestions : [],
    voice: talk && (client?.joined ? may.microphone : options.allowMic !== false),
    writes,
    interruptible: phase === "speaking" && talk && Boolean(state?.agent_confirms),
    talk,
    may,
    control,
    team: members.length > 1 ? members : [],
    agent: state?.agent_id ?? null,
    notices: client === null ? [] : noticesOf(client, phase, t, { name, now, may }),
  };
}

/**
 * What the server allows, less what the page's options take away.
 *
 * @param {Client | null} client
 * @param {Partial<import("./attributes.js").SurfaceOptions>} options
 * @returns {Permissions}
 */
function permissionsOf(client, { allowMic = true, allowCamera = true, allowScreenShare = true, allowTyping = true }) {
  const { sources = [], typing = true } = client?.joined ?? {};
  return {
    microphone: allowMic && sources.includes("microphone"),
    camera: allowCamera && sources.includes("camera"),
    screen: allowScreenShare && sources.includes("screen"),
    typing: allowTyping && typing,
  };
}

/** Whether this page has the microphone, or asks for it. @param {Client | null} client */
export function isHeld(client) {
  return ["asking", "waiting", "on"].includes(client?.sources?.microphone?.phase ?? "off");
}

/** Whether the last known state of the session still applies to this page. @param {Client | null} client */
function isOurs(client) {
  return client !== null && !["idle", "refused", "ended"].includes(client.link.phase);
}

/** @param {Client | null} client @param {boolean} asked @returns {Phase} */
function phaseOf(client, asked) {
  if (client === null) return "missing";
  const { link, state } = client;
  if (link.phase === "refused" || link.phase === "recovering") return link.phase;
  if (link.phase === "ended") return "closed";
  if (link.phase === "idle") return asked ? "connecting" : "idle";
  if (link.phase === "joining" && !state) return "connecting";
  switch (state?.connection_state) {
    case "connected":
      if (state.reconnecting) return "reconnecting";
      if (!state.agent_active) return state.error_code && !asked ? "absent" : "joining";
      return state.agent_state && state.agent_state !== "idle" ? state.agent_state : "ready";
    case "connecting":
      return "connecting";
    case "error":
      return asked ? "connecting" : "error";
    case "disconnected":
      return asked ? "connecting" : "ended";
    default:
      return asked ? "connecting" : "idle";
  }
}

/** @param {Phase} phase @param {Translate} t */
function titleOf(phase, t) {
  const key = `phase${phase[0].toUpperCase()}${phase.slice(1)}`;
  return t(/** @type {`phase${Capitalize<Phase>}`} */ (key));
}

/**
 * @param {Phase} phase
 * @param {State | null} state
 * @param {boolean} control
 * @returns {Action | null}
 */
function actionOf(phase, state, control) {
  if (phase === "refused" || phase === "recovering") return "retry";
  if (!control) return null;
  if (phase === "idle") return "connect";
  if (phase === "error" || phase === "absent") return "retry";
  if (phase === "ended") return state?.can_resume ? "resume" : "restart";
  return phase === "connecting" || phase === "joining" ? "cancel" : null;
}

/**
 * @param {Phase} phase
 * @param {Client | null} client
 * @param {Translate} t
 * @param {{name: string, control: boolean, now: number, may: Permissions,
 *   options: Partial<import("./attributes.js").SurfaceOptions>}} given
 * @returns {string}
 */
function hintOf(phase, client, t, { name, control, now, may, options }) {
  const state = client?.state;
  switch (phase) {
    case "missing":
      return t("hintMissing");
    case "idle":
      // Before it has joined, a page does not know what the server allows.
      return t(control ? idleHint(client?.joined ? may.microphone : options.allowMic !== false, may.typing) : "hintIdleWatch");
    case "connecting":
      return t(client?.link.phase === "live" ? "hintRoom" : "hintServer");
    case "joining":
      return t("hintJoining", { name });
    case "reconnecting":
      return t("hintReconnecting");
    case "recovering":
      return recoveringHint(client?.link, t, now);
    case "absent":
      return t("hintAbsent", { name });
    case "error":
      return state?.error || t("hintError");
    case "ended":
      return t(state?.can_resume ? "hintResume" : "hintEnded");
    case "closed":
      return t(client?.link.code === "revoked" ? "hintRevoked" : "hintClosed");
    case "refused":
      return refusal(client?.link.code, t);
    default:
      return "";
  }
}

/** @param {boolean} talk @param {boolean} type */
function idleHint(talk, type) {
  if (talk && type) return "hintIdle";
  if (talk) return "hintIdleTalk";
  return type ? "hintIdleType" : "hintIdleWatch";
}

/** @param {Agent} agent @returns {Member} */
function offered(agent) {
  return {
    id: agent.id,
    name: agent.name,
    role: agent.role ?? "",
    image: agent.avatar_image_url ?? null,
    agent: agent.id,
  };
}
