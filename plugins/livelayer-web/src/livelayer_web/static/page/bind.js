// @ts-check
/** Binds a client to its page: the agent may act on it, and what happens becomes events of a target. */

import { PageCommands } from "./commands.js";
import { SessionEvents } from "./events.js";

/** @import { SessionClient } from "../client/client.js" */
/** @import { ContextProvider, RouteSource } from "./commands.js" */
/** @import { Extras } from "./extras.js" */

/**
 * @typedef {object} PageSettings read anew for each command, so that a getter may give them
 * @property {string | null} [capabilities] what of the server's allow-list holds here; null: all of it
 * @property {string} [navigateOrigins] other origins that an agent may send this page to
 * @property {ContextProvider | null} [contextProvider] the page context, instead of ours
 * @property {Extras} [contextExtras] what our page context has in addition
 * @property {RouteSource | null} [routes] where the page can go, instead of its links
 */

/**
 * What `<livelayer-session>` does with its client, for any target: `navigate` and `agent-command`
 * are cancelable there, and a session's events arrive. Call it once for each client.
 *
 * @param {SessionClient} client
 * @param {EventTarget} [target] an element, if the events are to bubble
 * @param {PageSettings} [settings]
 */
export function bindPage(client, target = document, settings = {}) {
  const commands = new PageCommands(target, {
    joined: () => client.joined,
    capabilities: () => settings.capabilities ?? null,
    origins: () => (settings.navigateOrigins ?? "").split(/[\s,]+/).filter(Boolean),
    context: () => settings.contextProvider ?? null,
    extras: () => settings.contextExtras,
    routes: () => settings.routes ?? null,
    pending: (message) => void client.sendData(message).catch(() => {}),
  });
  client.carryOut = (message) => commands.carryOut(message);
  new SessionEvents(target, client).listen();
}
