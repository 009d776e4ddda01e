// @ts-check
/** Binds a client to its page: the agent may act on it, and what happens becomes events of a target. */

import { PageCommands, isAllowed } from "./commands.js";
import { SessionEvents } from "./events.js";
import { PageFields } from "./page-fields.js";
import { PageScreenshots } from "./screenshots.js";

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
 * @property {string | null} [shareFields] what of the page's fields goes into `agent.context`: `values`
 *   (null), `labels` or `none`
 */

/**
 * @typedef {object} PageParts
 * @property {PageFields} fields what the agent knows of the page's fields
 * @property {PageScreenshots} screenshots
 * @property {() => void} look to be called when the page may show something else
 */

/**
 * What `<livelayer-session>` does with its client, for any target: `navigate` and `agent-command`
 * are cancelable there, and a session's events arrive. Call it once for each client.
 *
 * @param {SessionClient} client
 * @param {EventTarget} [target] an element, if the events are to bubble
 * @param {PageSettings} [settings]
 * @returns {PageParts}
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
  client.isAllowed = (capability) =>
    isAllowed(capability, client.joined?.capabilities ?? [], settings.capabilities ?? null);
  client.carryOut = (message) => commands.carryOut(message);
  const mayRead = () => commands.allows("read_page") && client.joined?.grants.includes("talk") === true;
  const fields = new PageFields(client, mayRead, () => settings.shareFields ?? null);
  const screenshots = new PageScreenshots(client, mayRead);
  const look = () => {
    fields.update();
    screenshots.look();
  };
  for (const kind of ["link", "info"]) client.addEventListener(kind, look);
  new SessionEvents(target, client).listen();
  return { fields, screenshots, look };
}
