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
 * @typedef {object} ClientFields
 * @property {State | null} state
 * @property {Link} link
 * @property {Joined | null} joined
 * @property {import("../client/types.js").MediaState} media
 * @property {number} level
 * @property {import("../client/types.js").SpeakerState} speaker
 * @property {Record<SourceKind, Source>} sources
 * @property {readonly Pending[]} pending
 * @property {(key: string, wish: {height: number}) => void} retainVideo
 * @property {(key: string) => void} releaseVideo
 * @property {(key: string) => void} [retainSurface]
 * @property {(key: string) => void} [releaseSurface]
 * @property {() => unknown} open
 * @property {() => unknown} close
 * @property {() => Promise<unknown>} connect
 * @property {() => Promise<unknown>} disconnect
 * @property {(id: string) => Promise<unknown>} switchAgent
 * @property {(text: string) => Promise<unknown>} sendMessage
 * @property {(message: object) => Promise<unknown>} sendData
 * @property {(kind: SourceKind) => unknown} take
 * @property {(kind: SourceKind) => unknown} release
 * @property {(kind: SourceKind, muted: boolean) => unknown} setSourceMuted
 * @property {(muted: boolean) => unknown} setSpeakerMuted
 * @property {() => unknown} unblockSound
 * @property {() => unknown} markUsed
 * @property {(id: string) => unknown} [retryMessage]
 * @property {(id: string) => unknown} [discardMessage]
 * @property {(before: Entry) => Promise<readonly Entry[]>} [earlierTranscript]
 */

/** @typedef {EventTarget & ClientFields} Client */

/** @typedef {{id: string, name: string, role: string, image: string | null, agent: string}} Member */

/**
 * @typedef {object} Scene
 * @property {Client | null} client null before there is one
 * @property {import("./model.js").Model} model
 * @property {readonly Entry[]} entries the conversation as far as the state has it
 * @property {import("./strings.js").Translate} t
 * @property {import("./preferences.js").Choices} choices what this person chose
 * @property {boolean} awake whether it is visible: otherwise nothing moves or plays
 * @property {boolean} widget
 */

/**
 * @typedef {object} PanelActions what a part may ask of its panel
 * @property {(action: import("./model.js").Action) => void} act
 * @property {(choices: Partial<import("./preferences.js").Choices>) => void} choose
 * @property {(id: string) => void} pickMember
 * @property {() => void} toggleDebug
 */

export {};
