// @ts-check
/** The session's state on this page, and the cursor of the last event that listeners got. */

import { reduce } from "./state.js";

/** @import { EventLine, SessionEvent, SessionState, SnapshotLine } from "./types.js" */

/**
 * Guarantee: an event changes the state once and reaches listeners once and in order, however often
 * the stream is reopened. After a snapshot that did not resume, listeners continue behind it.
 */
export class SessionStore {
  /** @type {SessionState | null} */
  state = null;

  /** @type {string | null} */
  session;
  /** @type {number} */
  told;

  /** @param {string | null} cursor of an earlier page of this tab */
  constructor(cursor = null) {
    [this.session, this.told] = parse(cursor);
  }

  /** `<session id>:<sequence>` of the last event that listeners got; null before the first snapshot. */
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
   * @returns {SessionEvent | null} the event, if listeners have not got it yet
   */
  event({ sequence, event }) {
    if (this.state !== null && sequence > this.state.sequence) {
      // There is no gap: the server reports `lagged` and sends a snapshot. The number is the server's.
      this.state = { ...reduce(this.state, event), sequence };
    }
    if (sequence <= this.told) return null;
    this.told = sequence;
    return event;
  }
}

/** @param {string | null} cursor @returns {[string | null, number]} */
function parse(cursor) {
  const match = cursor === null ? null : /^(.+):(\d+)$/.exec(cursor);
  return match === null ? [null, 0] : [match[1], Number(match[2])];
}
