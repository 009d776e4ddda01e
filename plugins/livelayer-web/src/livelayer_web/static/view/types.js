// @ts-check
/** Types of the view: the client that a panel shows, and what each part of it is given to draw. */

/** @typedef {import("../client/types.js").SourceKind} SourceKind */
/** @typedef {import("../client/types.js").SourceState} Source */
/** @typedef {import("../client/types.js").TranscriptEntry} Entry */
/** @typedef {import("../client/types.js").PendingMessage} Pending */
/** @typedef {import("../client/types.js").Joined} Joined */
/** @typedef {import("../client/types.js").SessionState} State */
/** @typedef {import("../client/types.js").LinkState} Link */
/** @typedef {Joined["agents"][number]} Agent */

/**
 * What a surface uses of a session's client.
 *
 * @typedef {EventTarget & Pick<import("../client/client.js").SessionClient, "state" | "link" | "joined" | "info" | "media"
 *   | "level" | "speaker" | "sources" | "devices" | "chooseDevice" | "pending" | "retainVideo" | "releaseVideo" | "retainSurface"
 *   | "releaseSurface" | "open" | "close" | "connect" | "disconnect" | "switchAgent" | "sendMessage" | "sendData" | "take"
 *   | "release" | "setSourceMuted" | "setSpeakerMuted" | "unblockSound" | "markUsed" | "retryMessage"
 *   | "discardMessage" | "earlierTranscript" | "interrupt" | "approvals" | "answerApproval"
 *   | "controlReplay">} Client
 */

/** @typedef {{id: string, name: string, role: string, image: string | null, agent: string}} Member */

/**
 * @typedef {object} Props
 * @property {Client | null} client null before there is one
 * @property {import("./model.js").Model} model
 * @property {readonly Entry[]} entries the conversation as far as the state has it
 * @property {readonly import("./activity.js").Activity[]} activities the agent's tool calls
 * @property {import("./strings.js").Translate} t
 * @property {import("./surface.js").SurfaceChoices} choices what this person chose
 * @property {boolean} awake whether it is visible: otherwise nothing moves or plays
 * @property {boolean} widget
 * @property {import("./attributes.js").SurfaceOptions} options what the page chose
 * @property {boolean} mobile the window is too small for a floating panel
 */

/**
 * @typedef {object} PanelActions what a part may ask of its panel
 * @property {(action: import("./model.js").Action) => void} act
 * @property {(text: string) => void} say as typed; connects first if necessary
 * @property {(choices: Partial<import("./preferences.js").Choices>) => void} choose
 * @property {(id: string) => void} pickMember
 * @property {() => void} toggleDebug
 */

export {};
