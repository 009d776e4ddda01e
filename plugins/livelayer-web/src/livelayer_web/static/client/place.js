// @ts-check
/** Where a session is: at its surface's base, or below it at an address opened for one agent. */

import { SessionError } from "./errors.js";

export class Place {
  /**
   * @param {import("./http.js").Http} http whose base is set
   * @param {import("./record.js").TabRecord} record
   * @param {string | null} agent null: the base is the session's
   */
  constructor(http, record, agent) {
    this.http = http;
    this.record = record;
    this.agent = agent;
    this.root = http.base;
  }

  /**
   * Sets the base; a reload finds the session that it had.
   *
   * @param {AbortSignal} signal
   * @param {boolean} anew the last one is gone
   * @throws {SessionError}
   */
  async find(signal, anew) {
    if (this.agent === null) return;
    const { root } = this;
    this.http.base = root;
    const known = anew ? null : this.record.read("base", /** @type {string | null} */ (null));
    const json = { agent_id: this.agent };
    const base = known ?? (await this.http.json("POST", "sessions", { json, bearer: "", signal }))?.base;
    const place = new URL(String(base), root);
    // Keys are sent there: it has to be the same server.
    if (place.origin !== new URL(root).origin) throw new SessionError("http", "the session is elsewhere");
    this.record.write("base", place.href);
    this.http.base = place.href;
  }
}
