// @ts-check
/** What a panel reads (the session's client) and what its parts are given when something changed. */

/**
 * @typedef {object} Link how this page stands with its server
 * @property {"idle" | "joining" | "live" | "recovering" | "refused" | "ended"} phase
 * @property {string} [code]
 * @property {string} [detail]
 * @property {number} [retryAt] the next attempt, as `Date.now()` counts
 */

/** @typedef {"microphone" | "camera" | "screen"} SourceKind */

/**
 * @typedef {object} Source
 * @property {"off" | "asking" | "on" | "busy" | "denied" | "unavailable"} phase
 * @property {boolean} muted
 * @property {string | null} owner
 * @property {MediaStream | null} stream
 * @property {number} [level]
 */

/** @typedef {{id: string, role: "agent" | "user", text: string, final: boolean}} Entry */
/** @typedef {{id: string, text: string, failed?: string}} Pending */
/** @typedef {{id: string, name: string, role?: string | null, avatar_image_url?: string | null}} Agent */

/**
 * @typedef {object} Joined
 * @property {string[]} [grants]
 * @property {string[]} [capabilities]
 * @property {SourceKind[]} [sources]
 * @property {Agent[]} [agents]
 * @property {number} [max_message_bytes]
 */

/**
 * @typedef {object} State the session's state, as far as a view needs it
 * @property {string} [id]
 * @property {number} [epoch]
 * @property {string} agent_id
 * @property {number} [sequence]
 * @property {"idle" | "connecting" | "connected" | "disconnected" | "error"} connection_state
 * @property {boolean} [reconnecting]
 * @property {boolean} [agent_active]
 * @property {boolean} [agent_ready]
 * @property {"idle" | "listening" | "thinking" | "speaking"} [agent_state]
 * @property {{name: string, avatarImageUrl?: string | null, idleLoopUrl?: string | null} | null} [agent_config]
 * @property {readonly Entry[]} [transcript]
 * @property {boolean} [can_resume]
 * @property {string | null} [error]
 */

/**
 * @typedef {object} ClientFields
 * @property {State | null} state
 * @property {Link} link
 * @property {Joined | null} joined
 * @property {{phase: "off" | "connecting" | "live" | "recovering", stream: MediaStream | null}} media
 * @property {number} level
 * @property {{muted: boolean, blocked: boolean}} speaker
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
 */

/** @typedef {EventTarget & ClientFields} Client */

/** @typedef {{id: string, name: string, role: string, image: string | null, agent: string}} Member */

/**
 * @typedef {object} Scene
 * @property {Client | null} client null before there is one
 * @property {import("./model.js").Model} model
 * @property {readonly Entry[]} entries the conversation, what was typed included
 * @property {import("./strings.js").Translate} t
 * @property {import("./memory.js").Choices} choices what this person chose
 * @property {boolean} awake somebody can see it: nothing moves or plays otherwise
 * @property {boolean} widget
 */

/**
 * @typedef {object} Orders what a part may ask of its panel
 * @property {(action: import("./model.js").Action) => void} act
 * @property {(choices: Partial<import("./memory.js").Choices>) => void} choose
 * @property {(id: string) => void} pickMember
 * @property {() => void} toggleDebug
 */

export {};
