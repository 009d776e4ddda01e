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
 * @property {boolean} early the agent is about to come: the microphone may be turned on already
 * @property {boolean} calm nothing needs the person's attention
 * @property {string} name
 * @property {string} role the agent's role in the team
 * @property {string | null} image
 * @property {string | null} loop
 * @property {string} title
 * @property {string} hint
 * @property {Action | null} action the one thing to do now
 * @property {boolean} interruptible the agent speaks, and can be told to stop
 * @property {boolean} talk this page may write and use its microphone
 * @property {boolean} control this page may connect, end and switch
 * @property {readonly Member[]} team the agents to choose from; empty if there is no choice
 * @property {string | null} agent the session's agent
 * @property {readonly import("./notices.js").Notice[]} notices
 */

const CALM = new Set(["ready", "listening", "thinking", "speaking"]);

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
 * @returns {Model}
 */
export function describe(client, t, { asked = false, team = null, now = 0, alone = false } = {}) {
  const phase = client === null && alone ? "idle" : phaseOf(client, asked);
  const state = client?.state ?? null;
  const members = team ?? (client?.joined?.agents ?? []).map(offered);
  const member = members.find((one) => one.agent === state?.agent_id);
  const config = state?.agent_config;
  const name = config?.name || member?.name || t("assistant");
  const grants = client?.joined?.grants;
  const control = grants?.includes("control") ?? true;
  const calm = CALM.has(phase);
  const talk = grants?.includes("talk") ?? true;
  const tool = phase === "thinking" ? state?.tools?.at(-1) : undefined;
  return {
    phase,
    live: calm || (!["joining", "absent"].includes(phase) && state?.connection_state === "connected" && isOurs(client)),
    early: (phase === "connecting" || phase === "joining") && canTalk(client),
    calm,
    name,
    role: member?.role ?? "",
    image: config?.avatarImageUrl || member?.image || null,
    loop: config?.idleLoopUrl || null,
    title: tool ? t("toolRuns", { tool: readable(tool.name) }) : titleOf(phase, t),
    hint: hintOf(phase, client, t, { name, control, now }),
    action: actionOf(phase, state, control),
    interruptible: phase === "speaking" && talk && Boolean(state?.agent_confirms),
    talk,
    control,
    team: members.length > 1 ? members : [],
    agent: state?.agent_id ?? null,
    notices: client === null ? [] : noticesOf(client, phase, t, { name, now }),
  };
}

/** Whether this page may turn its microphone on. @param {Client | null} client */
function canTalk(client) {
  const { grants, sources } = client?.joined ?? {};
  return Boolean(grants?.includes("talk") && sources?.includes("microphone"));
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
 * @param {{name: string, control: boolean, now: number}} given
 * @returns {string}
 */
function hintOf(phase, client, t, { name, control, now }) {
  const state = client?.state;
  switch (phase) {
    case "missing":
      return t("hintMissing");
    case "idle":
      return t(control ? "hintIdle" : "hintIdleWatch");
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
