// @ts-check
/** Describes this page to the agent while it is the one that a person used last. */

import { agentContext } from "./agent-context.js";

/** @import { RegisteredField } from "./agent-context.js" */
/** @import { SessionClient } from "../client/client.js" */

export class PageFields {
  /** Those that the application registered, newest last. @type {readonly (readonly RegisteredField[])[]} */
  #registered = [];

  /**
   * @param {SessionClient} client
   * @param {() => boolean} mayRead
   * @param {() => string | null} share `values` (null or empty), `labels` or `none`, as anything else
   */
  constructor(client, mayRead, share) {
    this.client = client;
    this.mayRead = mayRead;
    this.share = share;
  }

  /**
   * @param {readonly RegisteredField[]} fields
   * @returns {() => void} removes them
   */
  register(fields) {
    const added = [...fields];
    this.#registered = [...this.#registered, added];
    this.update();
    return () => {
      this.#registered = this.#registered.filter((one) => one !== added);
      this.update();
    };
  }

  /** Looks at the page. */
  update() {
    const { client } = this;
    const share = this.share()?.trim().toLowerCase() || "values";
    if (!["values", "labels"].includes(share) || !this.mayRead()) client.describePage(null);
    else if (client.info?.active === true) client.describePage(agentContext(this.#fields(), share === "values"));
  }

  /** One for each id and form: the newest. */
  #fields() {
    const byName = new Map(this.#registered.flat().map((one) => [JSON.stringify([one.id, one.formId]), one]));
    return [...byName.values()];
  }
}
