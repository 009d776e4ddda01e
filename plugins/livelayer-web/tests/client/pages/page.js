// What happened on this page, for the tests to read: window.log has [kind, detail] of everything.
import "/livelayer/js/session-element.js";

const KINDS = ["agent-command", "agent-event", "data-message", "connection-change", "agent-state"];
const CLIENT = ["state", "event", "lagged", "link", "media", "sources", "info", "pending", "command"];
window.log = [];
const session = document.querySelector("livelayer-session");
for (const kind of [...KINDS, "navigate", "transcript", "field", "collected"]) {
  document.addEventListener(kind, ({ detail }) => window.log.push([kind, detail]));
}
for (const kind of CLIENT) {
  session.client.addEventListener(kind, ({ detail }) => window.log.push([`client:${kind}`, detail]));
}
window.session = session;
window.client = session.client;
window.told = () => window.log.filter(([kind]) => kind === "client:event").map(([, event]) => event);
