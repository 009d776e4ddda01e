// @ts-check
/** The agent's tool calls as quiet lines of the conversation, and in words. */

/** @import { Client, Entry } from "./types.js" */
/** @import { SessionEvent } from "../client/types.js" */

/**
 * @typedef {object} Activity one tool call, as last reported
 * @property {string} id
 * @property {string} name
 * @property {string} status
 * @property {string | null} message shared only if the agent's application says so
 * @property {Entry | null} after the line that it comes after; null: it comes before all lines
 */

const KEPT = 40; // tool calls; older ones are not shown any more

/** @type {ReadonlyMap<string, import("./strings.js").Key>} */
const WORDS = new Map([
  ["started", "toolRuns"],
  ["updated", "toolRuns"],
  ["done", "toolDone"],
  ["error", "toolFailed"],
  ["cancelled", "toolStopped"],
]);

export class Activities {
  /** In the order of their beginning. @type {Map<string, Activity>} */
  #calls = new Map();

  /** @param {SessionEvent} event @param {Client} client */
  take(event, { state }) {
    if (event.event === "ToolCallChanged") {
      const known = this.#calls.get(event.call_id);
      this.#calls.set(event.call_id, {
        id: event.call_id,
        name: event.name,
        status: event.status,
        message: event.message ?? known?.message ?? null,
        after: known ? known.after : (state?.transcript.findLast((entry) => entry.text) ?? null),
      });
      for (const id of [...this.#calls.keys()].slice(0, -KEPT)) this.#calls.delete(id);
    } else if (["TranscriptCleared", "EpochStarted"].includes(event.event)) this.#calls.clear();
  }

  /**
   * The calls, with what the state says of those that run: an agent that left has ended its own.
   *
   * @param {Client["state"]} state
   * @returns {readonly Activity[]}
   */
  list(state) {
    const running = new Set(state?.tools?.map((one) => one.call_id));
    return [...this.#calls.values()].map((call) =>
      isRunning(call.status) && !running.has(call.id) ? { ...call, status: "cancelled" } : call,
    );
  }
}

/** @param {string} status */
function isRunning(status) {
  return status === "started" || status === "updated";
}

/**
 * A call in words. Names are isolated: they may be of another direction.
 *
 * @param {Activity} call
 * @param {import("./strings.js").Translate} t
 */
export function wordsOf({ name, status, message }, t) {
  const words = t(WORDS.get(status) ?? "toolRuns", { tool: readable(name) });
  return message ? `${words}: \u2068${message}\u2069` : words;
}

/** A tool's name as a person reads it: `look_up_order` is "look up order". @param {string} name */
export function readable(name) {
  return `\u2068${name.replace(/[_-]+/g, " ").trim()}\u2069`;
}
