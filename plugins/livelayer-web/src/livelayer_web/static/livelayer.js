// @ts-check
/** What a page imports: it defines both elements, and gives out the parts to build one's own. */

export { LivelayerSession } from "./session-element.js";
export * from "./avatar-element.js";
export * from "./headless.js";
