// @ts-check
/** The minimised widget: a round picture with the state around it; and the tab of a hidden widget. */

import { SOURCES } from "../client/peer.js";
import { actionButton } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon } from "./icons.js";
import { orb } from "./orb.js";
import { play, source, video } from "./stage.js";
import { sign } from "./status.js";

/** @import { Client, PanelActions, Props } from "./types.js" */

/** What this page sends now, as icons: it must be seen however small the widget is. */
class Sending {
  constructor() {
    this.icons = { microphone: icon("microphone"), camera: icon("camera"), screen: icon("screen") };
    this.element = h("span", { class: "sending", "aria-hidden": "true", hidden: true }, ...Object.values(this.icons));
  }

  /** @param {Client | null} client @param {import("./strings.js").Translate} t @returns {string} in words */
  update(client, t) {
    const on = SOURCES.filter((kind) => {
      const source = client?.sources?.[kind];
      return source?.phase === "waiting" || (source?.phase === "on" && !source.muted && !source.silenced);
    });
    for (const kind of SOURCES) this.icons[kind].classList.toggle("off", !on.includes(kind));
    show(this.element, on.length > 0);
    return on.map((kind) => `. ${t(`${kind}IsOn`)}`).join("");
  }
}

export class Bubble {
  /** @param {(event: MouseEvent) => void} open @param {PanelActions} actions */
  constructor(open, actions) {
    this.stop = actionButton({ class: "stop", part: "button interrupt", "data-action": "interrupt" }, actions);
    this.stop.append(icon("stop"));
    this.live = video("live");
    this.image = h("img", { class: "portrait", alt: "", hidden: true });
    this.image.addEventListener("error", () => show(this.image, false));
    this.live.addEventListener("loadeddata", () => set(this.element, "data-painted", true));
    this.sending = new Sending();
    this.hint = h("span", { id: "bubble-hint", class: "unseen" });
    this.element = h(
      "button",
      { type: "button", class: "bubble", part: "bubble", "aria-describedby": "bubble-hint", onclick: open },
      h("span", { class: "disc", "aria-hidden": "true" }, orb(), this.image, this.live),
      h("i", { class: "ring", "aria-hidden": "true" }),
      h("span", { class: "chip", "aria-hidden": "true" }, sign()),
      this.sending,
    );
  }

  /** @param {Props} props */
  update({ client, model, t, awake, choices, widget }) {
    const shown = choices.display === "minimized";
    set(this.stop, "aria-label", t("interrupt", { name: model.name }));
    show(this.stop, widget && shown && model.interruptible);
    const stream = shown && model.live ? (client?.media.stream ?? null) : null;
    if (this.live.srcObject !== stream) this.live.srcObject = stream;
    if (stream === null) set(this.element, "data-painted", false);
    set(this.element, "data-phase", model.phase);
    set(this.element, "data-trouble", model.notices.some((one) => one.tone !== "info"));
    text(this.hint, t("bubbleHint"));
    source(this.image, model.image);
    play(this.live, awake && stream !== null);
    const sending = this.sending.update(client, t);
    set(this.element, "aria-label", `${t("open", { name: model.name })}. ${model.title}${sending}`);
  }

  release() {
    this.live.srcObject = null;
  }
}

export class Tab {
  /** @param {() => void} open */
  constructor(open) {
    this.sending = new Sending();
    this.element = h("button", { type: "button", class: "tab", part: "tab", onclick: open }, icon("transcript"), this.sending);
  }

  /** @param {Props} props */
  update({ client, model, t }) {
    set(this.element, "aria-label", t("reveal", { name: model.name }) + this.sending.update(client, t));
  }
}
