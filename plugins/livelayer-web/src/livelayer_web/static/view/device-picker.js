// @ts-check
/** The menu of microphones, cameras and speakers: picking one uses it from now on. */

import { DEVICES } from "../client/devices.js";
import { h, set, show } from "./dom.js";
import { icon } from "./icons.js";
import { Menu } from "./menu.js";

/** @import { DeviceKind } from "../client/types.js" */
/** @import { Client, Props } from "./types.js" */

/** @type {Record<DeviceKind, import("./icons.js").IconName>} */
const SIGNS = { microphone: "microphone", camera: "camera", speaker: "speaker" };

const GAP = 8; // px

export class DevicePicker {
  /** @type {Client | null} */
  #client = null;
  #drawn = "";

  constructor() {
    this.menu = new Menu("devices", "devices");
    this.element = this.menu.element;
    this.menu.opener.addEventListener("click", () => this.#fit());
  }

  /** @param {Props} props */
  update({ client, model, t }) {
    this.#client = client;
    this.menu.name(t("devices"));
    const devices = client?.devices;
    const kinds = DEVICES.filter((kind) => (kind === "speaker" || model.may[kind]) && (devices?.[kind].list.length ?? 0) > 0);
    show(this.element, kinds.length > 0);
    if (kinds.length === 0) this.menu.toggle(false);
    const words = t("deviceDefault");
    const drawn = JSON.stringify([kinds.map((kind) => [kind, devices?.[kind], t(`${kind}Devices`)]), words]);
    if (drawn === this.#drawn || !devices) return;
    this.#drawn = drawn;
    const { list } = this.menu;
    const focused = /** @type {HTMLElement | null} */ (list.querySelector(":focus"))?.dataset.device;
    list.replaceChildren();
    for (const kind of kinds) {
      const items = [{ id: null, label: words }, ...devices[kind].list];
      const group = h("ul", { "aria-label": t(`${kind}Devices`) });
      for (const device of items) group.append(this.#item(kind, device, device.id === devices[kind].chosen));
      const heading = h("span", { class: "heading", "aria-hidden": "true" }, icon(SIGNS[kind]), t(`${kind}Devices`));
      list.append(h("li", {}, heading, group));
    }
    if (focused === undefined) return;
    const buttons = [...list.querySelectorAll("button")];
    (buttons.find((one) => one.dataset.device === focused) ?? buttons[0] ?? this.menu.opener).focus();
  }

  /** Leaves the list the height between the buttons and the top of the panel. */
  #fit() {
    const top = this.element.closest(".panel")?.getBoundingClientRect().top ?? 0;
    const buttons = this.element.closest(".controls") ?? this.menu.opener;
    const height = buttons.getBoundingClientRect().top - top - 2 * GAP;
    this.menu.list.style.setProperty("max-block-size", `${height}px`);
  }

  /**
   * @param {DeviceKind} kind
   * @param {{id: string | null, label: string}} device
   * @param {boolean} chosen
   */
  #item(kind, { id, label }, chosen) {
    const press = () => {
      this.#client?.markUsed();
      void this.#client?.chooseDevice(kind, id);
    };
    const mark = h("span", { class: "mark", "aria-hidden": "true" }, icon("check"));
    const button = this.menu.add(press, h("span", { class: "words", dir: "auto" }, label), mark);
    set(button, "aria-current", chosen ? "true" : null);
    set(button, "data-device", `${kind} ${id ?? ""}`);
    return /** @type {HTMLElement} */ (button.parentElement);
  }
}
