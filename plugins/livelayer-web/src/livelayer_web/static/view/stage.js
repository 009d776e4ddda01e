// @ts-check
/** The picture: live video, idle loop, portrait or an orb, with the state's animation around it. */

import { parseUrl } from "../client/older.js";
import { h, set, show, text } from "./dom.js";
import { orb } from "./orb.js";

/** @import { Child } from "./dom.js" */
/** @import { Props } from "./types.js" */

const BLUR = 5000; // ms
const BLANK = 16; // pixels: a LiveKit server ends a picture with black ones of at most this size

export class Stage {
  #painted = false;
  #wanted = false;
  /** Whether the picture is blurred until the agent speaks. */
  #blurs = false;
  #heard = false;
  #timer = 0;

  /**
   * @param {Child} placeholder the text under the picture
   * @param {...Child} above what lies over the picture
   */
  constructor(placeholder, ...above) {
    this.live = video("live", "video");
    this.live.autoplay = true;
    this.loop = video("loop");
    this.loop.loop = true;
    this.image = h("img", { class: "portrait", alt: "", hidden: true, decoding: "async" });
    for (const one of [this.image, this.loop]) {
      one.addEventListener("error", () => show(one, false));
    }
    const face = { class: "face", "aria-hidden": "true" };
    this.face = h("div", face, h("i", { class: "halo" }), orb(), this.image);
    this.middle = h("div", { class: "middle" }, this.face, placeholder);
    this.renewing = h("p", { class: "renewing", hidden: true });
    this.transforming = h("p", { dir: "auto" });
    this.cover = h("div", { class: "cover", part: "cover", hidden: true }, h("i", { "aria-hidden": "true" }), this.transforming);
    this.recording = h("p", { class: "recording", hidden: true }, h("span", { "aria-hidden": "true" }), h("span"));
    this.element = h(
      "div",
      { class: "stage", part: "stage" },
      this.loop,
      this.live,
      h("div", { class: "aura", "aria-hidden": "true" }),
      this.middle,
      this.renewing,
      this.recording,
      ...above,
      this.cover,
    );
    for (const kind of ["loadeddata", "resize"]) {
      this.live.addEventListener(kind, () => {
        this.#painted = this.live.videoWidth > BLANK;
        this.#settle();
      });
    }
  }

  /** @param {Props} props */
  update({ client, model, t, awake, options, entries }) {
    const stream = client?.media.stream ?? null;
    // Without a new stream the last picture stays, so a renewed avatar does not flicker.
    if (stream !== null && this.live.srcObject !== stream) this.live.srcObject = stream;
    this.#wanted = model.live;
    this.#blurs = options.blurUntilFirstSpeech;
    this.#heard ||= model.phase === "speaking" || entries.some((entry) => entry.role === "agent" && entry.text);
    if (!model.live) this.#forget();
    const picture = this.#settle();
    set(this.element, "data-phase", model.phase);
    this.middle.classList.toggle("home", model.phase === "idle");
    show(this.renewing, picture && client?.media.phase === "recovering");
    text(this.renewing, t("pictureRenewing"));
    show(this.cover, options.transforming);
    text(this.transforming, options.transformingLabel || t("transforming"));
    set(this.element, "aria-busy", options.transforming ? "true" : null);
    show(this.recording, Boolean(client?.state?.recording?.length));
    text(/** @type {Element} */ (this.recording.lastElementChild), t("recording"));
    source(this.image, model.image);
    source(this.loop, model.loop);
    play(this.loop, awake && !picture && !this.loop.hidden && !still());
    play(this.live, awake && this.live.srcObject !== null);
  }

  /** Releases the picture, so that a stage outside of the page decodes nothing. */
  release() {
    this.#forget();
    this.loop.pause();
  }

  #forget() {
    this.live.srcObject = null;
    this.#painted = false;
    this.#heard = false;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  /** Shows the live picture as soon as there is a frame of it. */
  #settle() {
    const picture = this.#wanted && this.#painted;
    set(this.element, "data-picture", picture ? "live" : "still");
    const blurred = picture && this.#blurs && !this.#heard;
    set(this.element, "data-blurred", blurred);
    if (blurred && this.#timer === 0) this.#timer = setTimeout(() => this.#clear(), BLUR);
    return picture;
  }

  /** An agent may wait for the person to begin: the picture is clear by then, too. */
  #clear() {
    this.#heard = true;
    this.#settle();
  }
}

/**
 * A muted video: the page plays the session's audio once, not in each picture.
 *
 * @param {string} name
 * @param {string} [part]
 */
export function video(name, part) {
  const element = h("video", { class: name, part, "aria-hidden": "true", tabindex: "-1" });
  // Properties: the attribute does not mute an element that a script created.
  element.muted = true;
  element.playsInline = true;
  element.disablePictureInPicture = true;
  return element;
}

/** @param {string} name @returns {string} the letter for a person without a picture */
export function initial(name) {
  return [...name.trim()][0]?.toLocaleUpperCase() ?? "";
}

/** @param {HTMLImageElement | HTMLVideoElement} element @param {string | null} address */
export function source(element, address) {
  if (element.dataset.address === (address ?? "")) return;
  element.dataset.address = address ?? "";
  const allowed = address !== null && picturable(address);
  if (allowed) element.src = address;
  else element.removeAttribute("src");
  show(element, allowed);
}

/** @param {HTMLVideoElement} element @param {boolean} wanted */
export function play(element, wanted) {
  if (!wanted) {
    if (!element.paused) element.pause();
  } else if (element.paused) {
    // Refused, or interrupted by the next change: the still picture stays, and update() tries again.
    element.play().catch(() => undefined);
  }
}

/**
 * Whether an agent's configuration may use this address as a picture: only safe schemes.
 *
 * @param {string} address
 */
function picturable(address) {
  const url = parseUrl(address, document.baseURI);
  return url !== null && ["http:", "https:", "data:", "blob:"].includes(url.protocol);
}

/** Whether the user prefers reduced motion. */
export function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
