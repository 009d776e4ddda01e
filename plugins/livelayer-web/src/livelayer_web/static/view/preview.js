// @ts-check
/** Small previews of this page's own camera and shared screen. */

import { h, set, show } from "./dom.js";
import { play, video } from "./stage.js";

/** @import { Props } from "./types.js" */

export class Preview {
  constructor() {
    this.camera = video("own");
    this.screen = video("own");
    const camera = h("div", { class: "own-box camera", role: "img" }, this.camera);
    const screen = h("div", { class: "own-box screen", role: "img" }, this.screen);
    this.boxes = { camera, screen };
    this.element = h("div", { class: "previews", part: "previews" }, camera, screen);
  }

  /** @param {Props} props */
  update({ client, model, t, awake }) {
    for (const kind of /** @type {const} */ (["camera", "screen"])) {
      const source = client?.sources?.[kind];
      const stream = model.live && source?.phase === "on" ? source.stream : null;
      const element = this[kind];
      if (element.srcObject !== stream) element.srcObject = stream;
      set(this.boxes[kind], "aria-label", t(kind === "camera" ? "yourCamera" : "yourScreen"));
      show(this.boxes[kind], stream !== null);
      play(element, awake && stream !== null);
    }
  }

  release() {
    this.camera.srcObject = null;
    this.screen.srcObject = null;
  }
}
