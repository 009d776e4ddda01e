// @ts-check
/** Pictures of the page, taken and stored by the application, which the agent hears of. Off by default. */

import { cutText } from "./trim.js";
import { flow } from "./flow.js";
import { isPrivate } from "./privacy.js";

/** @import { SessionClient } from "../client/client.js" */
/** @typedef {"flow_start" | "route_change" | "step_change"} ScreenshotReason */
/** @typedef {{route: string, reason: ScreenshotReason, hash: string, capturedAt: string}} Details */
/**
 * `take` draws the page as the application can (html2canvas, for example) and leaves out the elements
 * that `ignore` names: private parts, private fields and the widget. Null skips this one. `upload`
 * stores the picture and gives its address; a text is an address to which it is posted, and which
 * answers with JSON, `{"url"}`.
 *
 * @typedef {object} Screenshots
 * @property {(request: {reason: ScreenshotReason, ignore: (element: Element) => boolean}) => Promise<Blob | null>} take
 * @property {string | ((picture: Blob, details: Details) => Promise<string>)} upload
 * @property {number} [interval] seconds from one picture to the next, at least; 5, and not less than 2
 */

const LEAST = 2; // seconds
const USUAL = 5; // seconds
const SIDE = 64; // pixels of the picture that is compared
const SHADES = 32; // that are told apart
const ADDRESS = 2000; // characters

/**
 * Guarantee: no picture is taken, uploaded or reported without `options`, the capability `read_page`,
 * and this page being the visible one that a person used last. One is taken at a time, and one that
 * looks like the last one is neither uploaded nor reported.
 */
export class PageScreenshots {
  /** @type {Screenshots | null} */
  #options = null;
  /** What the page showed when it was last looked at. @type {{route: string, step: string | null} | null} */
  #shown = null;
  /** Why one is due. @type {ScreenshotReason | null} */
  #due = null;
  #busy = false;
  /** On the clock of `performance.now()`. */
  #next = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #hash = "";

  /** @param {SessionClient} client @param {() => boolean} mayRead */
  constructor(client, mayRead) {
    this.client = client;
    this.mayRead = mayRead;
  }

  /** @returns {Screenshots | null} */
  get options() {
    return this.#options;
  }

  set options(options) {
    this.#options = options ?? null;
    this.#shown = null;
    this.#due = null;
    clearTimeout(this.#timer);
    this.look();
  }

  get #allowed() {
    return this.#options !== null && this.mayRead() && this.client.info?.active === true && document.visibilityState === "visible";
  }

  /** Looks whether the page shows another route or step. */
  look() {
    if (!this.#allowed) return;
    const steps = flow();
    const step = steps === null ? null : `${steps.currentStep ?? ""} ${steps.stepLabel ?? ""}`;
    const before = this.#shown;
    this.#shown = { route: location.pathname, step };
    if (step !== null && (before?.step ?? null) === null) this.#due = "flow_start";
    else if (before?.route !== location.pathname) this.#due = "route_change";
    else if (step !== null && step !== before.step) this.#due = "step_change";
    this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    if (this.#due === null || this.#busy) return;
    this.#timer = setTimeout(() => void this.#run(), Math.max(0, this.#next - performance.now()));
  }

  async #run() {
    const options = this.#options;
    const reason = this.#due;
    if (options === null || reason === null || !this.#allowed) return;
    this.#due = null;
    this.#busy = true;
    try {
      await this.#take(options, reason);
    } catch (error) {
      reportError(error); // the application's functions, or its server
    } finally {
      this.#busy = false;
      this.#next = performance.now() + Math.max(LEAST, options.interval ?? USUAL) * 1000;
      this.#soon();
    }
  }

  /** @param {Screenshots} options @param {ScreenshotReason} reason */
  async #take(options, reason) {
    // The application may have withdrawn its consent meanwhile.
    const goesOn = () => this.#options === options && this.#allowed;
    const details = { route: location.pathname, reason, capturedAt: new Date().toISOString() };
    const picture = await options.take({ reason, ignore: isPrivate });
    if (!(picture instanceof Blob) || !goesOn()) return;
    const hash = await visualHash(picture);
    if (hash === this.#hash || !goesOn()) return;
    const { upload } = options;
    const given = typeof upload === "string" ? await post(upload, picture) : await upload(picture, { ...details, hash });
    const url = new URL(given, location.href);
    if (!/^https?:$/.test(url.protocol) || url.href.length > ADDRESS) throw new TypeError("upload gave no address of http or https");
    if (!goesOn()) return;
    await this.client.sendData({ type: "page_screenshot", url: url.href, ...details, route: cutText(details.route, ADDRESS), hash });
    this.#hash = hash;
  }
}

/**
 * @param {string} address
 * @param {Blob} picture
 * @returns {Promise<string>}
 */
async function post(address, picture) {
  const answer = await fetch(address, { method: "POST", body: picture, referrerPolicy: "no-referrer" });
  if (!answer.ok) throw new Error(`the picture was not stored: the answer was ${answer.status}`);
  const { url } = await answer.json();
  if (typeof url !== "string") throw new TypeError("the answer has no url");
  return url;
}

/**
 * The same for pictures that look the same: of a small one, in a few shades of grey.
 *
 * @param {Blob} picture
 * @returns {Promise<string>} 16 hexadecimal digits
 */
export async function visualHash(picture) {
  const bitmap = await createImageBitmap(picture, { resizeWidth: SIDE, resizeHeight: SIDE, resizeQuality: "high" });
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0, SIDE, SIDE);
  bitmap.close();
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  // FNV-1a, twice: 64 bits.
  let [first, second] = [0x811c9dc5, 0x1000193];
  for (let at = 0; at < data.length; at += 4) {
    const grey = (data[at] * 299 + data[at + 1] * 587 + data[at + 2] * 114) / 1000;
    const shade = Math.round((grey * SHADES) / 256);
    first = Math.imul(first ^ shade, 0x01000193);
    second = Math.imul(second ^ (shade + at), 0x01000193);
  }
  return [first, second].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
