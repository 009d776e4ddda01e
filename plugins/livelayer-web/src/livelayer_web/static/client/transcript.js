// @ts-check
/** One transcript entry for each utterance, in whatever order its segments arrive; the newest ones. */

import { compare, length } from "./text.js";

/** @import { SessionState, TranscriptEntry as Entry } from "./types.js" */
/** @typedef {Pick<SessionState, "transcript" | "transcript_omitted" | "transcript_limit">} Said */

const MAX_CHARS = 512 * 1024; // of the kept entries together, as in livelayer_bus/transcript.py

/** The characters of each transcript that `merge` made. @type {WeakMap<readonly Entry[], number>} */
const sizes = new WeakMap();

/**
 * The transcript with `entry` taken in; the same array when nothing changes.
 *
 * An utterance stands where its first stream opened; of two wordings the finished one wins, then
 * the one whose stream opened later, then the longer one. Beyond the limit the oldest are left out
 * and counted; what belongs before them is ignored.
 *
 * @param {Said} said
 * @param {Entry} entry
 * @returns {Pick<Said, "transcript" | "transcript_omitted">}
 */
export function merge({ transcript, transcript_omitted: omitted, transcript_limit: limit }, entry) {
  const at = transcript.findLastIndex((old) => old.id === entry.id && old.sender === entry.sender);
  const known = at < 0 ? null : transcript[at];
  const joined = known === null ? entry : join(known, entry);
  const ignored = known === null && omitted > 0 && place(entry, transcript[0]) < 0;
  if (ignored || (known !== null && same(joined, known))) {
    return { transcript, transcript_omitted: omitted };
  }
  const stays = known !== null && joined.opened === known.opened;
  const rest = known === null ? transcript : transcript.toSpliced(at, 1);
  const merged = stays ? transcript.with(at, joined) : insert(rest, joined);
  let size = (sizes.get(transcript) ?? sum(transcript)) + weight(joined) - (known ? weight(known) : 0);
  let first = 0;
  while (merged.length - first > 1 && (merged.length - first > limit || size > MAX_CHARS)) {
    size -= weight(merged[first]);
    first += 1;
  }
  const kept = first === 0 ? merged : merged.slice(first);
  sizes.set(kept, size);
  return { transcript: kept, transcript_omitted: omitted + first };
}

/**
 * Negative, zero or positive, as `one` stands before, with or after `two`.
 *
 * @param {Entry} one
 * @param {Entry} two
 */
function place(one, two) {
  return (
    one.opened - two.opened || compare(one.id, two.id) || compare(one.sender ?? "", two.sender ?? "")
  );
}

/** @param {readonly Entry[]} entries */
function sum(entries) {
  return entries.reduce((size, entry) => size + weight(entry), 0);
}

/** @param {Entry} entry */
function weight({ text, id }) {
  return length(text) + length(id);
}

/**
 * @param {readonly Entry[]} transcript
 * @param {Entry} entry
 */
function insert(transcript, entry) {
  let low = 0;
  let high = transcript.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (place(entry, transcript[middle]) < 0) high = middle;
    else low = middle + 1;
  }
  return transcript.toSpliced(low, 0, entry);
}

/**
 * @param {Entry} one
 * @param {Entry} two
 * @returns {Entry}
 */
function join(one, two) {
  const newest = novelty(two, one) > 0 ? two : one;
  return { ...newest, opened: Math.min(one.opened, two.opened) };
}

/**
 * @param {Entry} one
 * @param {Entry} two
 */
function novelty(one, two) {
  return (
    Number(one.final) - Number(two.final) ||
    one.stream - two.stream ||
    length(one.text) - length(two.text) ||
    compare(one.text, two.text) ||
    compare(one.role, two.role)
  );
}

/**
 * @param {Entry} one
 * @param {Entry} two
 */
function same(one, two) {
  return (
    one.role === two.role &&
    one.delivery === two.delivery &&
    one.text === two.text &&
    one.final === two.final &&
    one.opened === two.opened &&
    one.stream === two.stream
  );
}
