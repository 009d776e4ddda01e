// @ts-check
/** What a page imports: it defines both elements and gives out the parts to build one's own. */

export { LivelayerSession } from "./session-element.js";
export * from "./avatar-element.js";
export { SessionClient } from "./client/client.js";
export { SessionError } from "./client/errors.js";
export { reduce } from "./client/state.js";
export { isShown, matches, parsePatterns, watchPath } from "./page/routes.js";
