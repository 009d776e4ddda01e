// @ts-check
/** The loudness of a stream, 0 to 1 on a logarithmic scale, and reports of its changes. */

const QUIET = -55; // dB below full scale that count as silence
const LOUD = -12; // dB below full scale that count as 1
const LOOK = 66; // milliseconds between two reports
const STEP = 0.01; // a smaller change is not reported

/** Measures a stream; 0 while the browser suspends audio. */
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

  /** Call this after a user gesture: browsers allow no audio context before one. */
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

/** Reports a loudness a few times a second while it is watched, when it has changed. */
export class LevelTicker {
  #last = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {() => number} level @param {(level: number) => void} tell */
  constructor(level, tell) {
    this.level = level;
    this.tell = tell;
  }

  /** @param {boolean} on */
  watch(on) {
    if (on === (this.#timer !== undefined)) return;
    clearInterval(this.#timer);
    this.#timer = on ? setInterval(() => this.#look(), LOOK) : undefined;
    if (!on) this.#say(0);
  }

  #look() {
    const level = this.level();
    if (Math.abs(level - this.#last) >= STEP || (level === 0 && this.#last > 0)) this.#say(level);
  }

  /** @param {number} level */
  #say(level) {
    if (level === this.#last) return;
    this.#last = level;
    this.tell(level);
  }
}
