// @ts-check
/** Waiting for a client's link. */

import { SessionError } from "./errors.js";

const LIMIT = 10; // seconds

/**
 * @param {EventTarget & {link: import("./types.js").LinkState}} client
 * @returns {Promise<void>} when its link is live
 * @throws {SessionError} it was refused, has ended, or is not back in time
 */
export function live(client) {
  /** @type {(value: void) => void} */
  let succeed;
  /** @type {(error: SessionError) => void} */
  let fail;
  /** @type {Promise<void>} */
  const result = new Promise((resolve, reject) => [succeed, fail] = [resolve, reject]);
  const look = () => {
    const { phase, code = "closed", detail = "this page has left" } = client.link;
    if (phase === "live") succeed();
    else if (["refused", "ended", "idle"].includes(phase)) fail(new SessionError(code, detail));
  };
  const late = () => fail(new SessionError("timeout", "the server cannot be reached"));
  const timer = setTimeout(late, LIMIT * 1000);
  client.addEventListener("link", look);
  look();
  return result.finally(() => {
    clearTimeout(timer);
    client.removeEventListener("link", look);
  });
}
