// A page with a look of its own: no element of ours, only the module that it is documented to import.
import { SessionClient, bindPage } from "/livelayer/js/headless.js";

const client = new SessionClient({ base: "/livelayer" });
const page = document.querySelector("main");
const settings = { capabilities: "navigate read_page", contextExtras: { plan: "team" } };
bindPage(client, page, settings);

window.log = [];
for (const kind of ["navigate", "agent-command", "agent-state", "transcript", "connection-change"]) {
  document.addEventListener(kind, ({ detail }) => window.log.push([kind, detail]));
}
page.addEventListener("agent-state", ({ detail }) => {
  document.querySelector("#agent").textContent = detail.state;
});
page.addEventListener("transcript", ({ detail }) => {
  const lines = detail.transcript.map(({ text }) => Object.assign(document.createElement("li"), { textContent: text }));
  document.querySelector("#said").replaceChildren(...lines);
});
page.addEventListener("navigate", (event) => {
  event.preventDefault();
  history.pushState({}, "", event.detail.url);
});
document.querySelector("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  void client.sendMessage(event.target.elements.words.value);
});
client.open();
Object.assign(window, { client, settings });
