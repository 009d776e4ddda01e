// @ts-check
/** How loud a stream is, 0 to 1, as an ear would say; 0 while the browser keeps sound suspended. */

const QUIET = -55; // dB below full scale that count as silence
const LOUD = -12; // dB below full scale that count as 1

export class LevelMeter {
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AnalyserNode | null} */
  #analyser = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null;
  /** @type {MediaStream | null} */
  #stream = null;
  #samples = new Float32Array(new ArrayBuffer(4 * 1024));

  /** @param {MediaStream | null} stream */
  attach(stream) {
    this.#stream = stream;
    this.#source?.disconnect();
    this.#source = null;
    if (this.#context !== null) this.#connect(this.#context);
  }

  /** To be called once the page was used: before, browsers allow no audio context. */
  resume() {
    if (this.#context === null) {
      this.#context = new AudioContext();
      this.#analyser = this.#context.createAnalyser();
      this.#analyser.fftSize = this.#samples.length;
      this.#connect(this.#context);
    }
    if (this.#context.state === "suspended") this.#context.resume().catch(() => {});
  }

  /** @returns {number} */
  get level() {
    if (this.#source === null || this.#analyser === null || this.#context?.state !== "running") return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / this.#samples.length + 1e-12);
    return Math.min(1, Math.max(0, (decibels - QUIET) / (LOUD - QUIET)));
  }

  close() {
    this.attach(null);
    this.#context?.close().catch(() => {});
    this.#context = null;
    this.#analyser = null;
  }

  /** @param {AudioContext} context */
  #connect(context) {
    if (this.#stream === null || this.#analyser === null) return;
    this.#source = context.createMediaStreamSource(this.#stream);
    this.#source.connect(this.#analyser);
  }
}
