// @ts-check
/**
 * For a page with a look of its own: everything but the elements, which this module neither loads nor
 * defines. `livelayer.js` has the same names and the elements.
 *
 *   const client = new SessionClient({ base: "/livelayer" });
 *   bindPage(client);                        // commands, page context, and events at the document
 *   client.open();                           // join the server; client.connect() begins the conversation
 */

export { SessionClient } from "./client/client.js";
export { DEVICES } from "./client/devices.js";
export { SessionError } from "./client/errors.js";
export { SOURCES } from "./client/peer.js";
export { reduce } from "./client/state.js";
export { bindPage } from "./page/bind.js";
export { pageContext } from "./page/context.js";
export { AGENT_EVENTS } from "./page/events.js";
export { readExtras } from "./page/extras.js";
export { fill } from "./page/fill.js";
export { linkedRoutes, safeUrl } from "./page/links.js";
export { isPrivate, publicText } from "./page/privacy.js";
export { isShown, matches, parsePatterns, watchPath } from "./page/routes.js";
