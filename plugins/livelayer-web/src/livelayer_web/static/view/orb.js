// @ts-check
/** A drawn agent, where there is no picture of it: an orb that moves with the voices, by CSS alone. */

import { h } from "./dom.js";

/** Its motion follows `--_level` and `--_own`, and the phase of an element around it. */
export function orb() {
  return h("span", { class: "orb", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
}
