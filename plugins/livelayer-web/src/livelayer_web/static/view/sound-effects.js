// @ts-check
/** Short sounds of what happens in a session, made with WebAudio: one player for all its surfaces. */

/** @import { Client } from "./types.js" */
/** @typedef {readonly (readonly [frequency: number, start: number])[]} Notes Hz, and seconds from now */

const LOUDNESS = 0.06; // of full scale: below the agent's voice
const LENGTH = 0.18; // seconds of a note
const ATTACK = 0.012; // seconds, so that it begins without a click
const THINKING = 1400; // ms between two ticks

/** @type {Readonly<Record<"begins" | "ends" | "navigated" | "filled" | "thinks", Notes>>} */
const SOUNDS = {
  begins: [[523.25, 0], [783.99, 0.11]],
  ends: [[783.99, 0], [523.25, 0.11]],
  navigated: [[659.25, 0], [880, 0.08]],
  filled: [[1046.5, 0]],
  thinks: [[329.63, 0]],
};
/** What is heard once the agent has done it on this page. @type {Readonly<Record<string, Notes>>} */
const COMMANDS = { navigate: SOUNDS.navigated, fill_form: SOUNDS.filled, submit_form: SOUNDS.filled };

/** @type {WeakMap<Client, SoundEffects>} */
const all = new WeakMap();

/**
 * Guarantee: nothing is heard unless a surface that is shown wants sounds, a person has used the page
 * (browsers allow none before), and the speaker is not muted.
 */
export class SoundEffects {
  /** The surfaces that want sounds. @type {Set<string>} */
  #wanted = new Set();
  /** @type {AudioContext | null} */
  #context = null;
  #connected = false;
  #timer = 0;

  /** @param {Client} client @returns {SoundEffects} the same for every surface of the client */
  static of(client) {
    const known = all.get(client) ?? new SoundEffects(client);
    all.set(client, known);
    return known;
  }

  /** @param {Client} client */
  constructor(client) {
    this.client = client;
    this.#connected = isConnected(client);
    client.addEventListener("state", () => this.#follow());
    client.addEventListener("link", () => this.#follow());
    client.addEventListener("command", (event) => {
      const { command, ok } = /** @type {CustomEvent<{command: string, ok: boolean}>} */ (event).detail;
      if (ok && Object.hasOwn(COMMANDS, command)) this.#play(COMMANDS[command]);
    });
  }

  /** @param {string} key of a surface @param {boolean} wanted */
  want(key, wanted) {
    if (wanted) this.#wanted.add(key);
    else this.#wanted.delete(key);
    this.#think();
    if (this.#wanted.size > 0 || this.#context === null) return;
    void this.#context.close().catch(() => {});
    this.#context = null;
  }

  #follow() {
    const connected = isConnected(this.client);
    if (connected !== this.#connected) this.#play(connected ? SOUNDS.begins : SOUNDS.ends);
    this.#connected = connected;
    this.#think();
  }

  /** Ticks while the agent thinks. */
  #think() {
    const thinks = this.#wanted.size > 0 && this.#connected && this.client.state?.agent_state === "thinking";
    if (thinks === (this.#timer !== 0)) return;
    clearInterval(this.#timer);
    this.#timer = thinks ? setInterval(() => this.#play(SOUNDS.thinks), THINKING) : 0;
  }

  /** @param {Notes} notes */
  #play(notes) {
    if (this.#wanted.size === 0 || this.client.speaker.muted) return;
    if (navigator.userActivation?.hasBeenActive === false) return;
    const context = (this.#context ??= new AudioContext());
    if (context.state === "suspended") context.resume().catch(() => {});
    for (const [frequency, start] of notes) {
      const tone = new OscillatorNode(context, { type: "sine", frequency });
      const gain = new GainNode(context, { gain: 0 });
      const at = context.currentTime + start;
      gain.gain.setValueAtTime(0, at);
      gain.gain.linearRampToValueAtTime(LOUDNESS, at + ATTACK);
      gain.gain.exponentialRampToValueAtTime(LOUDNESS / 1000, at + LENGTH);
      tone.connect(gain).connect(context.destination);
      tone.start(at);
      tone.stop(at + LENGTH);
    }
  }
}

/** @param {Client} client */
function isConnected({ state, link }) {
  return link.phase === "live" && state?.connection_state === "connected" && Boolean(state.agent_active);
}
