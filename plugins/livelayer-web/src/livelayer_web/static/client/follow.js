// @ts-check
/** Where a page stands in its session: the state, and the last event its listeners were told. */

import { reduce } from "./state.js";

/** @typedef {import("./types.js").SessionState} SessionState */
/** @typedef {import("./types.js").SessionEvent} SessionEvent */
/** @typedef {import("./types.js").SnapshotLine} SnapshotLine */
/** @typedef {import("./types.js").EventLine} EventLine */

/**
 * Guarantee: an event changes the state once and is told once and in order, however often the
 * stream is opened again; after a snapshot that did not resume, telling goes on behind it.
 */
export class Follower {
  /** @type {SessionState | null} */
  state = null;

  /** @type {string | null} */
  session;
  /** @type {number} */
  told;

  /** @param {string | null} cursor where an earlier page of this tab stood */
  constructor(cursor = null) {
    [this.session, this.told] = parse(cursor);
  }

  /** `<session id>:<sequence>` of the last event told; null before the first snapshot. */
  get cursor() {
    return this.session === null ? null : `${this.session}:${this.told}`;
  }

  /** @param {SnapshotLine} line */
  snapshot({ state, resumed }) {
    if (!resumed || state.id !== this.session) this.told = state.sequence;
    this.session = state.id;
    this.state = state;
  }

  /**
   * @param {EventLine} line
   * @returns {SessionEvent | null} the event, if it is to be told
   */
  event({ sequence, event }) {
    if (this.state !== null && sequence > this.state.sequence) {
      // A gap cannot be: the server says `lagged` and sends a snapshot. The number is the server's.
      this.state = { ...reduce(this.state, event), sequence };
    }
    if (sequence <= this.told) return null;
    this.told = sequence;
    return event;
  }
}

/**
 * @param {string | null} cursor
 * @returns {[string | null, number]}
 */
function parse(cursor) {
  const match = cursor === null ? null : /^(.+):(\d+)$/.exec(cursor);
  return match === null ? [null, 0] : [match[1], Number(match[2])];
}
