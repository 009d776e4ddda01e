// @ts-check
/** One transcript entry for each utterance, in whatever order its segments arrive. */

import { compare, length } from "./text.js";

/** @import { TranscriptEntry as Entry } from "./types.js" */

/**
 * The transcript with `entry` taken in; the same array when nothing changes.
 *
 * An utterance stands where its first stream opened; of two wordings the finished one wins, then
 * the one whose stream opened later, then the longer one.
 *
 * @param {readonly Entry[]} transcript
 * @param {Entry} entry
 * @returns {readonly Entry[]}
 */
export function merge(transcript, entry) {
  const at = transcript.findLastIndex((old) => old.id === entry.id);
  if (at < 0) return insert(transcript, entry);
  const known = transcript[at];
  const joined = join(known, entry);
  if (same(joined, known)) return transcript;
  if (joined.opened === known.opened) return transcript.with(at, joined);
  return insert(transcript.toSpliced(at, 1), joined);
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
function place(one, two) {
  return one.opened - two.opened || compare(one.id, two.id);
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
    one.text === two.text &&
    one.final === two.final &&
    one.opened === two.opened &&
    one.stream === two.stream
  );
}
