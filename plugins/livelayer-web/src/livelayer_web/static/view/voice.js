// @ts-check
/** What is said to a screen reader, by one panel of a session however many there are. */

import { h, text } from "./dom.js";

/** @typedef {import("./parts.js").Scene} Scene */
/** @typedef {import("./parts.js").Client} Client */
/** @typedef {import("./parts.js").Entry} Entry */

const SETTLED = 350; // ms: states that flit by in less are not worth a word
const SPOKEN_KEPT = 6; // lines in the log; a screen reader has long said older ones

/** The voices of each client, in the order in which they came. @type {WeakMap<Client, Set<Voice>>} */
const voices = new WeakMap();

export class Voice {
  /** @type {Client | null} */
  #client = null;
  /** What was final already, and so is history. @type {Set<string> | null} */
  #said = null;
  #next = "";
  #last = "";
  #timer = 0;
  awake = false;

  constructor() {
    this.status = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.log = h("div", { class: "unseen", role: "log", "aria-live": "polite" });
  }

  /** Whether this one speaks for its session: the first that somebody can see. */
  get leads() {
    const all = this.#client && voices.get(this.#client);
    return [...(all ?? [])].find((one) => one.awake) === this;
  }

  /** @param {Scene} scene */
  update({ client, model, t, awake }) {
    if (client !== this.#client) this.follow(client);
    this.awake = awake;
    const matters = model.notices.map((one) => one.spoken);
    const stay = model.calm || model.live ? matters : [model.hint];
    const hint = model.phase === "recovering" ? t("hintRecovering") : "";
    const lines = [model.title, ...(hint && !model.live ? [hint] : stay)];
    if (client === null || this.leads) this.say(lines.filter(Boolean).join(". "));
    if (client?.state) this.#finals(client.state.transcript ?? [], model.name, t);
  }

  /** @param {Client | null} client */
  follow(client) {
    if (this.#client) voices.get(this.#client)?.delete(this);
    this.#client = client;
    this.#said = null;
    if (!client) return;
    const all = voices.get(client) ?? new Set();
    all.add(this);
    voices.set(client, all);
  }

  /**
   * Says a text once it has stood for a moment; what was said last is not said again.
   *
   * @param {string} message
   */
  say(message) {
    if (message === this.#next) return;
    this.#next = message;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#next === this.#last) return;
      this.#last = this.#next;
      text(this.status, this.#next);
    }, SETTLED);
  }

  close() {
    clearTimeout(this.#timer);
    this.follow(null);
  }

  /**
   * Adds what became final; what still grows is shown, not said.
   *
   * @param {readonly Entry[]} entries
   * @param {string} name
   * @param {import("./strings.js").Translate} t
   */
  #finals(entries, name, t) {
    const finals = entries.filter((entry) => entry.final && entry.text);
    const said = this.#said;
    this.#said = new Set(finals.map((entry) => entry.id));
    if (said === null || !this.leads) return;
    for (const entry of finals) {
      if (said.has(entry.id)) continue;
      const who = entry.role === "agent" ? name : t("you");
      this.log.append(h("p", { dir: "auto" }, `${who}: ${entry.text}`));
      while (this.log.childElementCount > SPOKEN_KEPT) this.log.firstElementChild?.remove();
    }
  }
}
