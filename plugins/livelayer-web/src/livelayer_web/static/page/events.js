// @ts-check
/** Dispatches what happens in a session as DOM events of the element that owns it. */

/** @import { SessionClient } from "../client/client.js" */
/** @import { SessionEvent, TranscriptEntry } from "../client/types.js" */

/** Messages that are dispatched as `agent-event`. */
export const AGENT_EVENTS = new Set([
  "avatar_stream_ready",
  "avatar_active",
  "avatar_idle",
  "bot_ready",
  "agent_error",
  "idle_warning",
  "idle_timeout",
  "agent_tool_call",
  "agent_turn_ended",
  "agent_false_interruption",
  "agent_usage",
  "approval_withdrawn",
]);

/**
 * `connection-change {state, previous, link, reconnecting, error}`, `agent-state {state, raw}`,
 * `transcript {entry, transcript}` (`entry` null when the whole transcript was replaced),
 * `data-message {type, message, base64, sender, topic, fromAgent}` and `agent-event {type, message}`.
 */
export class SessionEvents {
  #connection = "";
  #previous = "idle";
  #agent = "";
  /** @type {readonly TranscriptEntry[]} */
  #transcript = [];

  /** @param {EventTarget} element @param {SessionClient} client */
  constructor(element, client) {
    this.element = element;
    this.client = client;
  }

  listen() {
    const { client } = this;
    client.addEventListener("event", (event) => this.#event(/** @type {CustomEvent<SessionEvent>} */ (event).detail));
    client.addEventListener("link", () => this.#connectionChange());
    client.addEventListener("state", () => this.#state());
  }

  #state() {
    const { state } = this.client;
    if (state === null) return;
    this.#connectionChange();
    const agent = JSON.stringify([state.agent_state, state.raw_agent_state]);
    if (agent !== this.#agent) {
      this.#agent = agent;
      this.#dispatch("agent-state", { state: state.agent_state, raw: state.raw_agent_state });
    }
    // A new line is dispatched with its event, which follows; a whole transcript here.
    queueMicrotask(() => this.#wholeTranscript());
  }

  #wholeTranscript() {
    const transcript = this.client.state?.transcript ?? [];
    if (transcript === this.#transcript) return;
    const empty = transcript.length === 0 && this.#transcript.length === 0;
    this.#transcript = transcript;
    if (!empty) this.#dispatch("transcript", { entry: null, transcript });
  }

  #connectionChange() {
    const { state, link } = this.client;
    const now = {
      state: state?.connection_state ?? "idle",
      link: link.phase,
      reconnecting: state?.reconnecting ?? false,
      error: state?.error ?? link.detail ?? null,
      code: state?.error_code ?? null,
    };
    const key = JSON.stringify(now);
    if (key === this.#connection) return;
    const previous = this.#previous;
    this.#connection = key;
    this.#previous = now.state;
    this.#dispatch("connection-change", { ...now, previous });
  }

  /** @param {SessionEvent} event */
  #event(event) {
    if (event.event === "TranscriptUpdated") {
      const transcript = this.client.state?.transcript ?? [];
      this.#transcript = transcript;
      this.#dispatch("transcript", { entry: event.entry, transcript });
    } else if (event.event === "DataReceived") this.#data(event);
  }

  /** @param {SessionEvent} event */
  #data({ payload, is_json, type = null, topic = null, sender = null, from_agent = false }) {
    const message = is_json === false ? null : payload;
    const base64 = is_json === false ? payload : null;
    this.#dispatch("data-message", { type, message, base64, topic, sender, fromAgent: from_agent });
    if (from_agent && AGENT_EVENTS.has(type)) this.#dispatch("agent-event", { type, message });
  }

  /** @param {string} name @param {unknown} detail */
  #dispatch(name, detail) {
    this.element.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}
