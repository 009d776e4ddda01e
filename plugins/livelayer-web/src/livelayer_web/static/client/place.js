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
   * @param {() => Promise<string | null>} bearer a token to open a session with
   * @returns {Promise<string | null>} a token to join the session with, if one came with it
   * @throws {SessionError}
   */
  async find(signal, anew, bearer) {
    if (this.agent === null) return null;
    const { root } = this;
    this.http.base = root;
    const known = anew ? null : this.record.read("base", /** @type {string | null} */ (null));
    const { base, token = null } = known === null ? await this.#open(signal, await bearer()) : { base: known };
    const place = new URL(String(base), root);
    // Keys are sent there: it has to be the same server.
    if (place.origin !== new URL(root).origin) throw new SessionError("http", "the session is elsewhere");
    this.record.write("base", place.href);
    this.http.base = place.href;
    return token;
  }

  /**
   * @param {AbortSignal} signal
   * @param {string | null} bearer
   * @returns {Promise<{base: string, token?: string | null}>}
   */
  #open(signal, bearer) {
    const json = { agent_id: this.agent };
    return this.http.json("POST", "sessions", { json, bearer: bearer ?? "", signal });
  }
}
