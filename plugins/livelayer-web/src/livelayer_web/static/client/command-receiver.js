// @ts-check
/** Receives the agent's commands to this page: each is carried out and answered once, also across a reload. */

import { asSessionError } from "./errors.js";

/** @import { Message, Outcome, Reason } from "./types.js" */
/** @typedef {(message: Message) => Promise<Outcome>} CarryOut */
/** @typedef {{mark: string, ok: boolean, reason?: Reason}} Done */

const KEPT = 64; // answers remembered
const LEAVE = 1; // seconds to wait for the answer before the page navigates away

export class CommandReceiver {
  /** Carries out commands; without it they are refused. @type {CarryOut | null} */
  carryOut = null;
  /** @type {Set<string>} */
  #running = new Set();

  /**
   * @param {import("./http.js").Http} http
   * @param {import("./storage.js").TabStorage} storage
   * @param {(message: Message, outcome: Outcome) => void} told
   */
  constructor(http, storage, told) {
    this.http = http;
    this.storage = storage;
    this.told = told;
  }

  /**
   * @param {string} session commands are counted from one in each
   * @param {{number: number, message: Message}} command
   */
  async take(session, { number, message }) {
    const mark = `${session}:${number}`;
    if (this.#running.has(mark)) return;
    const known = this.#done().find((one) => one.mark === mark);
    if (known !== undefined) return await this.#answer(number, known, false);
    this.#running.add(mark);
    const outcome = await this.#run(message);
    this.#remember({ mark, ok: outcome.ok, ...(outcome.reason ? { reason: outcome.reason } : {}) });
    this.#running.delete(mark);
    const answered = this.#answer(number, outcome, true);
    if (outcome.leave !== undefined) {
      await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, LEAVE * 1000))]);
      outcome.leave();
    }
    await answered;
    this.told(message, outcome);
  }

  /** @param {Message} message */
  async #run(message) {
    if (this.carryOut === null) return /** @type {Outcome} */ ({ ok: false, reason: "capability" });
    try {
      return await this.carryOut(message);
    } catch (error) {
      reportError(error);
      return /** @type {Outcome} */ ({ ok: false, reason: "failed" });
    }
  }

  /**
   * Answers a command. An answer that is lost is asked for again: the server repeats the command.
   *
   * @param {number} number
   * @param {Outcome} outcome
   * @param {boolean} again whether to try once more
   */
  async #answer(number, { ok, reason, replies }, again) {
    const json = { ok, ...(ok ? {} : { reason: reason ?? "failed" }), ...(replies?.length ? { replies } : {}) };
    try {
      await this.http.send("POST", `commands/${number}`, { json, keepalive: true, limit: 4 });
    } catch (error) {
      const { code, status } = asSessionError(error);
      // The replies were refused: answer without them.
      if (again && replies?.length && (status === 400 || status === 413)) {
        await this.#answer(number, { ok: false, reason: "failed" }, false);
      } else if (again && (code === "network" || code === "timeout")) {
        await this.#answer(number, { ok, reason, replies }, false);
      }
    }
  }

  /** @returns {Done[]} */
  #done() {
    return this.storage.read("commands", /** @type {Done[]} */ ([]));
  }

  /** @param {Done} done */
  #remember(done) {
    this.storage.write("commands", [...this.#done(), done].slice(-KEPT));
  }
}
