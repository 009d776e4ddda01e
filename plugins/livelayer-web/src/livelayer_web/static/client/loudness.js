// @ts-check
/** Tells the agent's loudness while there is sound, a few times a second and only when it changed. */

const LOOK = 66; // milliseconds
const STEP = 0.01; // of the loudness, which goes from 0 to 1

export class Loudness {
  #last = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /**
   * @param {() => number} level
   * @param {(level: number) => void} tell
   */
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
