// @ts-check
/** Announces a session to screen readers, from one panel however many there are. */

import { h, text } from "./dom.js";
import { keyOf } from "./transcript-list.js";

/** @import { Client, Entry, Props } from "./types.js" */

const SETTLED = 350; // ms: shorter states are not announced
const SPOKEN_KEPT = 6; // lines in the log; a screen reader has read older ones

/** The announcers of each client, in order of creation. @type {WeakMap<Client, Set<Announcer>>} */
const announcers = new WeakMap();

export class Announcer {
  /** @type {Client | null} */
  #client = null;
  /** The entries that were final before: they are not announced. @type {Set<string> | null} */
  #said = null;
  #next = "";
  #last = "";
  #timer = 0;
  #aside = 0;
  #spoke = false;
  awake = false;

  constructor() {
    this.status = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    this.log = h("div", { class: "unseen", role: "log", "aria-live": "polite" });
  }

  /** Whether this one announces for its session: the first visible one does. */
  get leads() {
    const all = this.#client && announcers.get(this.#client);
    return [...(all ?? [])].find((one) => one.awake) === this;
  }

  /** @param {Props} props */
  update({ client, model, t, awake, options }) {
    if (client !== this.#client) this.follow(client);
    this.awake = awake;
    const matters = model.notices.map((one) => one.spoken);
    const stay = model.calm || model.live ? matters : [model.hint];
    const hint = model.phase === "recovering" ? t("hintRecovering") : "";
    const question = client?.approvals?.[0]?.question;
    const asked = question ? [`${t("approvalTitle", { name: model.name })}: ${question}`] : [];
    const lines = [...asked, model.title, ...(hint && !model.live ? [hint] : stay)];
    if (options.transforming) lines.splice(0, lines.length, options.transformingLabel || t("transforming"));
    const speaks = client === null || this.leads;
    if (speaks) this.say(lines.filter(Boolean).join(". "));
    else if (this.#spoke) this.say(""); // another one speaks from now on
    this.#spoke = speaks;
    if (client?.state) this.#finals(client.state.transcript ?? [], model.name, t);
  }

  /** @param {Client | null} client */
  follow(client) {
    if (this.#client) announcers.get(this.#client)?.delete(this);
    this.#client = client;
    this.#said = null;
    if (!client) return;
    const all = announcers.get(client) ?? new Set();
    all.add(this);
    announcers.set(client, all);
  }

  /** Announces a text that has lasted for a moment; the last one is not repeated. @param {string} message */
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

  /** Announces once what a person has just done, whatever the state says meanwhile. @param {string} message */
  tell(message) {
    clearTimeout(this.#aside);
    this.#aside = setTimeout(() => text(this.status, message), SETTLED);
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#aside);
    this.follow(null);
  }

  /**
   * Adds entries that became final; partial ones are only shown.
   *
   * @param {readonly Entry[]} entries
   * @param {string} name
   * @param {import("./strings.js").Translate} t
   */
  #finals(entries, name, t) {
    // A person who typed a line knows it.
    const finals = entries.filter((entry) => entry.final && entry.text && !entry.delivery);
    const said = this.#said;
    this.#said = new Set(finals.map(keyOf));
    if (said === null || !this.leads) return;
    for (const entry of finals) {
      if (said.has(keyOf(entry))) continue;
      const who = entry.role === "agent" ? name : t("you");
      this.log.append(h("p", { dir: "auto" }, `${who}: ${entry.text}`));
      while (this.log.childElementCount > SPOKEN_KEPT) this.log.firstElementChild?.remove();
    }
  }
}
