// @ts-check
/** A session's events since this page was opened, and the fields that were collected. */

import { Activities } from "./activity.js";
import { Fields } from "./fields.js";

/** @import { Client } from "./types.js" */
/** @typedef {{number: number, sequence: number | null, time: string, kind: string, body: string}} Line */

const KEPT = 500; // events; older ones are dropped and counted
const LONGEST = 4000; // characters of one event's JSON

/** One for each client, shared by its panels. @type {WeakMap<Client, SessionLog>} */
const logs = new WeakMap();

/** Dispatches `change` after each event. */
export class SessionLog extends EventTarget {
  /** @type {Line[]} */
  lines = [];
  dropped = 0;
  fields = new Fields();
  activities = new Activities();
  #number = 0;

  /** @param {Client} client */
  constructor(client) {
    super();
    client.addEventListener("event", (event) => this.#take(client, event));
    client.addEventListener("command", (event) => this.#take(client, event));
    client.addEventListener("polling", (event) => this.#take(client, event));
  }

  /** The client's log; created when it is first needed. @param {Client} client */
  static of(client) {
    const log = logs.get(client) ?? new SessionLog(client);
    logs.set(client, log);
    return log;
  }

  clear() {
    this.lines = [];
    this.dropped = 0;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Client} client @param {Event} event */
  #take(client, event) {
    const { detail, line } = /** @type {CustomEvent & {line?: any}} */ (event);
    const { event: kind = `command ${detail?.command ?? ""}`, ...rest } = detail ?? {};
    this.#number += 1;
    this.lines.push({
      number: this.#number,
      sequence: line?.sequence ?? client.state?.sequence ?? null,
      time: String(line?.time ?? new Date().toISOString()).slice(11, 23),
      kind: String(kind),
      body: bounded(JSON.stringify(rest)),
    });
    if (this.lines.length > KEPT) {
      this.lines.shift();
      this.dropped += 1;
    }
    this.fields.take(detail);
    if (detail) this.activities.take(detail, client);
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {string} body */
function bounded(body) {
  return body.length > LONGEST ? `${body.slice(0, LONGEST)}…` : body;
}
