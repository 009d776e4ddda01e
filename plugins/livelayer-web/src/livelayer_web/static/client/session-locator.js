// @ts-check
/** Finds the address of a session: the surface's base, or one opened below it for an agent. */

import { SessionError } from "./errors.js";

/** @typedef {{token: string | null, opened: boolean}} Place `token`: to join with; `opened`: just now */

export class SessionLocator {
  /**
   * @param {import("./http.js").Http} http whose base is set
   * @param {import("./storage.js").TabStorage} storage
   * @param {string | null} agent null: the base is the session's
   */
  constructor(http, storage, agent) {
    this.http = http;
    this.storage = storage;
    this.agent = agent;
    this.root = http.base;
  }

  /**
   * Sets the base; a reload finds the session that it had.
   *
   * @param {AbortSignal} signal
   * @param {boolean} anew the last session is gone
   * @param {() => Promise<string | null>} bearer a token to open a session with
   * @returns {Promise<Place>}
   * @throws {SessionError}
   */
  async find(signal, anew, bearer) {
    if (this.agent === null) return { token: null, opened: false };
    const { root } = this;
    this.http.base = root;
    const known = anew ? null : this.storage.read("base", /** @type {string | null} */ (null));
    const { base, token = null } = known === null ? await this.#open(signal, await bearer()) : { base: known };
    const place = new URL(String(base), `${root}/`);
    // Keys are sent there: it must be the same server.
    if (place.origin !== new URL(root).origin) throw new SessionError("http", "the session is on another server");
    this.storage.write("base", place.href);
    this.http.base = place.href;
    return { token, opened: known === null };
  }

  /**
   * @param {AbortSignal} signal
   * @param {string | null} bearer
   * @returns {Promise<{base: string, token?: string | null}>}
   */
  #open(signal, bearer) {
    const json = { agent_id: this.agent };
    return this.http.json("POST", "sessions", { json, key: bearer ?? "", signal });
  }
}
