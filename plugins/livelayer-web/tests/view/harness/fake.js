// @ts-check
/** A session's client that a test plays: the fields a view reads, and a record of what it asks. */

const OFF = { phase: "off", muted: false, owner: null, stream: null, code: null, device: null };
const NONE = { list: [], chosen: null };

export class FakeClient extends EventTarget {
  state = null;
  link = { phase: "idle" };
  joined = null;
  info = null;
  media = { phase: "off", stream: null };
  level = 0;
  speaker = { muted: false, blocked: false };
  sources = { microphone: OFF, camera: OFF, screen: OFF };
  devices = { microphone: NONE, camera: NONE, speaker: NONE };
  pending = [];
  /** Every call, as [name, ...arguments]. */
  calls = [];

  constructor() {
    super();
    const promised = ["chooseDevice", "connect", "disconnect", "switchAgent", "sendMessage", "sendData", "open", "interrupt", "answerApproval", "controlReplay"];
    const plain = [
      "close", "retainVideo", "releaseVideo", "take", "release", "setSourceMuted",
      "setSpeakerMuted", "unblockSound", "markUsed", "retryMessage", "discardMessage",
    ];
    for (const name of promised) {
      this[name] = async (...given) => void this.calls.push([name, ...given]);
    }
    for (const name of plain) this[name] = (...given) => void this.calls.push([name, ...given]);
  }

  get approvals() {
    return this.state?.approvals ?? [];
  }

  /** Takes over fields, each merged one level deep, and tells of them as the real one does. */
  set(changes) {
    for (const [name, value] of Object.entries(changes)) {
      const old = this[name];
      const merges = old && value && typeof value === "object" && !Array.isArray(value);
      this[name] = merges ? { ...old, ...value } : value;
      const event = name === "joined" ? "link" : name;
      this.dispatchEvent(new CustomEvent(event, { detail: this[name] }));
    }
  }

  /** One event of the session, as it is told to listeners. */
  tell(event, line = {}) {
    this.dispatchEvent(Object.assign(new CustomEvent("event", { detail: event }), { line }));
  }
}

/** Stands for the provider: what surfaces find, with a client that plays. */
export class FakeSession extends HTMLElement {
  client = new FakeClient();

  connectedCallback() {
    const event = new Event("livelayer-session-ready", { bubbles: true, composed: true });
    this.dispatchEvent(event);
  }
}
