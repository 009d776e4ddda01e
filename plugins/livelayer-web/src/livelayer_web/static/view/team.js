// @ts-check
/** The list of agents to talk to: picking one switches the session to it. */

import { h, set, show } from "./dom.js";
import { icon } from "./icons.js";
import { Menu } from "./menu.js";
import { initial, source } from "./stage.js";

/** @import { Member, PanelActions, Props } from "./types.js" */

export class Team {
  #drawn = "";

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.actions = actions;
    this.menu = new Menu("team", "team");
    this.element = this.menu.element;
  }

  /** @param {Props} props */
  update({ client, model, t }) {
    this.menu.name(t("team"));
    show(this.element, model.control && client?.link.phase === "live" && model.team.length > 0);
    if (this.element.hidden) this.menu.toggle(false);
    const drawn = JSON.stringify([model.team, model.agent]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.menu.list.replaceChildren();
    for (const member of model.team) this.#add(member, member.agent === model.agent);
  }

  /** @param {Member} member @param {boolean} chosen */
  #add(member, chosen) {
    const image = h("img", { alt: "", hidden: true });
    source(image, member.image);
    const face = h("span", { class: "mini-face", "aria-hidden": "true" }, initial(member.name), image);
    const name = h("span", { class: "name", dir: "auto" }, member.name);
    const role = member.role && h("span", { class: "role", dir: "auto" }, member.role);
    const words = h("span", { class: "words" }, name, role || null);
    const mark = h("span", { class: "mark", "aria-hidden": "true" }, icon("check"));
    const press = () => {
      if (!chosen) this.actions.pickMember(member.agent);
    };
    const button = this.menu.add(press, face, words, chosen && mark);
    set(button, "aria-current", chosen ? "true" : null);
  }
}

/**
 * The members in an attribute's JSON or a property; null: none is valid.
 *
 * @param {unknown} given
 * @returns {Member[] | null}
 */
export function parseTeam(given) {
  let members = given;
  if (typeof given === "string") {
    try {
      members = JSON.parse(given);
    } catch {
      return null;
    }
  }
  if (!Array.isArray(members)) return null;
  return members
    .filter((one) => typeof one?.id === "string" && typeof one?.name === "string")
    .map((one) => ({
      id: one.id,
      name: one.name,
      role: typeof one.role === "string" ? one.role : "",
      image: typeof one.avatarImageUrl === "string" ? one.avatarImageUrl : null,
      agent: typeof one.agentId === "string" ? one.agentId : one.id,
    }));
}
