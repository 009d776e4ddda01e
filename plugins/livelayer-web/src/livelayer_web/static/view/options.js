// @ts-check
/** The menu of rare actions: release the microphone, captions, event log, hide. */

import { quietly } from "./controls.js";
import { h, set, show, text } from "./dom.js";
import { icon } from "./icons.js";
import { Menu } from "./menu.js";

/** @import { Client, PanelActions, Props } from "./types.js" */

export class Options {
  /** @type {Client | null} */
  #client = null;

  /** @param {PanelActions} actions */
  constructor(actions) {
    this.menu = new Menu("more", "options");
    this.element = this.menu.element;
    this.microphone = this.#item("microphoneOff", () => {
      this.#client?.markUsed();
      quietly(this.#client?.release("microphone"));
    });
    this.captions = this.#item("captions", () =>
      actions.choose({ captions: this.captions.button.getAttribute("aria-pressed") !== "true" }),
    );
    this.debug = this.#item("bug", actions.toggleDebug);
    this.hide = this.#item("eyeOff", () => actions.choose({ display: "hidden" }));
  }

  /** @param {Props} props @param {boolean} debugging */
  update({ client, t, choices, widget, options }, debugging) {
    this.#client = client;
    this.menu.name(t("options"));
    text(this.microphone.words, t("microphoneOff"));
    show(this.microphone.element, client?.sources?.microphone.phase === "on");
    text(this.captions.words, t("captions"));
    set(this.captions.button, "aria-pressed", String(choices.captions));
    text(this.debug.words, t("debug"));
    set(this.debug.button, "aria-pressed", String(debugging));
    text(this.hide.words, t("hide"));
    show(this.debug.element, options.eventLog || debugging);
    show(this.hide.element, widget && options.showClose);
  }

  /** @param {import("./icons.js").IconName} drawing @param {() => void} press */
  #item(drawing, press) {
    const words = h("span", { class: "words" });
    const mark = h("span", { class: "mark", "aria-hidden": "true" }, icon("check"));
    const button = this.menu.add(press, icon(drawing), words, mark);
    return { element: /** @type {HTMLElement} */ (button.parentElement), button, words };
  }
}
