// @ts-check
/** The session's state and how each event changes it, as livelayer_bus/state.py does. */

import { merge } from "./transcript.js";

/** @import { SessionEvent, SessionState } from "./types.js" */
/** @typedef {Partial<SessionState>} Changes */

/**
 * The state after `event`: a pure function; `sequence` grows by one. Unknown events change nothing
 * else.
 *
 * @param {SessionState} state
 * @param {SessionEvent} event
 * @returns {SessionState}
 */
export function reduce(state, event) {
  const change = Object.hasOwn(CHANGES, event.event) ? CHANGES[event.event] : nothing;
  return { ...state, ...change(event, state), sequence: state.sequence + 1 };
}

/** @returns {Changes} */
const nothing = () => ({});

/** @type {Changes} */
const WITHOUT_AGENT = {
  agent_active: false,
  agent_ready: false,
  agent_confirms: false,
  agent_identity: null,
  agent_state: "idle",
  raw_agent_state: null,
  tools: [],
  approvals: [],
};

const MAX_TOOLS = 32;

/** @type {Record<string, (event: SessionEvent, state: SessionState) => Changes>} */
const CHANGES = {
  ConnectionStateChanged(event) {
    const connected = event.state === "connected";
    return {
      connection_state: event.state,
      joined: connected,
      reconnecting: false,
      can_resume: event.can_resume ?? false,
      continued: null,
      ...failed(event.error),
      ...(connected ? {} : WITHOUT_AGENT),
    };
  },
  ResumeWindowClosed: () => ({ can_resume: false }),
  Reconnecting(event) {
    // A resume by the SDK stays in the room; a rejoin starts outside of it.
    return { reconnecting: true, ...(event.attempt ? { joined: false, ...WITHOUT_AGENT } : {}) };
  },
  Reconnected: () => ({ reconnecting: false, joined: true }),
  SessionFailed: (event) => failed(event.error),
  EpochStarted: (event) => ({
    ...WITHOUT_AGENT,
    agent_id: event.agent_id,
    base_url: event.base_url ?? null,
    epoch: event.epoch,
    connection_state: "idle",
    reconnecting: false,
    joined: false,
    agent_config: null,
    transcript: [],
    transcript_omitted: 0,
    can_resume: false,
    continued: null,
    ...failed(null),
  }),
  AgentAvailabilityChanged(event, state) {
    if ((event.identity ?? null) === null) return WITHOUT_AGENT;
    return {
      ...(event.active && state.error_code ? failed(null) : {}),
      agent_active: event.active,
      agent_ready: event.ready,
      agent_confirms: event.confirms ?? false,
      agent_identity: event.identity,
    };
  },
  AgentTimedOut: (event) => failed(event.error, "AGENT_TIMEOUT"),
  AgentStateChanged: (event) => ({
    agent_state: event.state,
    raw_agent_state: event.raw,
    ...failed(event.error),
  }),
  AgentConfigChanged: (event) => ({ agent_config: event.config }),
  TranscriptUpdated: (event, state) => merge(state, event.entry),
  TranscriptCleared: () => ({ transcript: [], transcript_omitted: 0 }),
  ConversationResumed: (event) => ({ continued: event.continued }),
  ToolCallChanged(event, state) {
    const calls = new Map(state.tools.map((call) => [call.call_id, call]));
    if (event.status === "started" || event.status === "updated") calls.set(event.call_id, /** @type {any} */ (event));
    else calls.delete(event.call_id);
    return { tools: [...calls.values()].slice(-MAX_TOOLS) };
  },
  ApprovalRequested: (event, state) => ({ approvals: [...state.approvals, /** @type {any} */ (event)] }),
  ApprovalSettled: (event, state) => ({ approvals: state.approvals.filter((one) => one.number !== event.number) }),
  MicrophoneChanged: (event) => ({ microphone: lease(event) }),
  CameraChanged: (event) => ({ camera: lease(event) }),
  ScreenChanged: (event) => ({ screen: lease(event) }),
  RecordingChanged(event, state) {
    const others = state.recording.filter((key) => key !== event.surface);
    return { recording: event.active ? [...others, event.surface] : others };
  },
  SurfaceMounted: (event, state) => ({ surfaces: [...state.surfaces, event.key] }),
  SurfaceUnmounted: (event, state) => ({
    surfaces: state.surfaces.filter((key) => key !== event.key),
    recording: state.recording.filter((key) => key !== event.key),
  }),
};

/** @param {string | null | undefined} error @param {SessionState["error_code"]} code @returns {Changes} */
function failed(error, code = null) {
  return { error: error ?? null, error_code: code };
}

/** @param {SessionEvent} event */
function lease(event) {
  if ((event.owner ?? null) === null) return null;
  return { owner: event.owner, muted: event.muted ?? false };
}
