// @ts-check
/** Typed messages as lines of the conversation: an agent answers them but seldom transcribes them. */

import { readJson, storageOf, writeJson } from "../client/storage.js";

/** @import { Entry } from "./types.js" */
/** @typedef {{id: string, text: string, after: string | null, mine: boolean, told: boolean}} Line */

const KEPT = 100; // lines; older ones are dropped

export class TypedLines {
  /** @type {Line[]} */
  #lines = [];
  #number = 0;
  /** The session and epoch of these lines. */
  #of = "";

  /**
   * Follows a session; drops the lines of another session or an earlier epoch. The lines of this
   * tab survive a reload.
   *
   * @param {{id?: string, epoch?: number} | null} state
   */
  follow(state) {
    const of = state?.id === undefined ? "" : `ll-typed ${state.id} ${state.epoch ?? 0}`;
    if (of === this.#of || of === "") return;
    write(this.#of, null);
    this.#of = of;
    this.#lines = read(of);
    this.#number = this.#lines.length;
  }

  /**
   * Handles any event of the session.
   *
   * @param {any} event
   * @param {readonly Entry[]} transcript as it stands
   */
  take(event, transcript) {
    if (event?.event === "TranscriptCleared" || event?.event === "EpochStarted") this.#clear();
    if (event?.event !== "DataSent" || event.type !== "user_message") return;
    this.#add(event.payload?.text, transcript, "told", "mine");
  }

  /**
   * Adds a text that this page sent: not every agent's messages come back as an event.
   *
   * @param {string} text
   * @param {readonly Entry[]} transcript
   */
  sent(text, transcript) {
    this.#add(text, transcript, "mine", "told");
  }

  /**
   * The transcript with the typed lines in their places; a line that the agent transcribed is not
   * repeated.
   *
   * @param {readonly Entry[]} transcript
   * @returns {readonly Entry[]}
   */
  among(transcript) {
    if (this.#lines.length === 0) return transcript;
    const entries = [...transcript];
    const taken = new Set();
    for (const line of this.#lines) {
      const from = entries.findIndex((one) => one.id === line.after) + 1;
      const echo = entries.find(
        (one, index) =>
          index >= from && one.role === "user" && same(one.text, line.text) && !taken.has(one.id),
      );
      if (echo) {
        taken.add(echo.id);
        continue;
      }
      let place = from;
      while (entries[place]?.id.startsWith("typed ")) place += 1;
      taken.add(line.id);
      entries.splice(place, 0, { id: line.id, role: "user", text: line.text, final: true });
    }
    return entries;
  }

  /**
   * Keeps one line for a text, whether the page or the session reports it first.
   *
   * @param {unknown} text
   * @param {readonly Entry[]} transcript
   * @param {"mine" | "told"} by
   * @param {"mine" | "told"} other
   */
  #add(text, transcript, by, other) {
    if (typeof text !== "string" || text === "") return;
    const known = this.#lines.find((one) => one.text === text && one[other] && !one[by]);
    if (known) {
      known[by] = true;
    } else {
      this.#number += 1;
      const after = transcript.at(-1)?.id ?? null;
      const line = { id: `typed ${this.#number}`, text, after, mine: false, told: false };
      this.#lines.push({ ...line, [by]: true });
      if (this.#lines.length > KEPT) this.#lines.shift();
    }
    write(this.#of, this.#lines);
  }

  #clear() {
    this.#lines = [];
    write(this.#of, null);
  }
}

/**
 * @param {string} one
 * @param {string} other
 */
function same(one, other) {
  return one.trim().toLowerCase() === other.trim().toLowerCase();
}

/**
 * @param {string} key
 * @returns {Line[]}
 */
function read(key) {
  /** @type {unknown} */
  const kept = readJson(storageOf("sessionStorage"), key, []);
  return Array.isArray(kept) ? kept.filter((one) => typeof one?.text === "string") : [];
}

/**
 * @param {string} key
 * @param {Line[] | null} lines null: forget them
 */
function write(key, lines) {
  if (key !== "") writeJson(storageOf("sessionStorage"), key, lines);
}
