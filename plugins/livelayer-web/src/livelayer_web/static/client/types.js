// @ts-check
/** The records that a page and its server exchange, as in `docs/protocol.md`; types only. */

/**
 * @typedef {object} TranscriptEntry
 * @property {string} id
 * @property {"agent" | "user"} role
 * @property {string} text
 * @property {boolean} final
 * @property {number} opened
 * @property {number} stream
 * @property {string | null} sender null: the session's own participant
 * @property {"pending" | "sent" | "failed" | null} delivery of a typed line; null: it was spoken
 * @property {string | null} mood how the agent says it, where its voice has expression
 */

/** @typedef {{owner: string, muted: boolean}} LeaseState */
/** @typedef {{name: string, avatarImageUrl: string | null, idleLoopUrl: string | null}} AgentConfig */
/** @typedef {"idle" | "connecting" | "connected" | "disconnected" | "error"} ConnectionState */
/** @typedef {"idle" | "listening" | "thinking" | "speaking"} AgentState */
/** @typedef {"microphone" | "camera" | "screen"} SourceKind */
/** @typedef {"started" | "updated" | "done" | "error" | "cancelled"} ToolStatus */
/** @typedef {{call_id: string, name: string, status: ToolStatus, arguments: string | null, message: string | null}} ToolCallChanged */
/** @typedef {{number: number, question: string, details: string | null, seconds: number, request_id: string | null}} ApprovalRequested */

/**
 * @typedef {object} SessionState
 * @property {string} id
 * @property {string} agent_id
 * @property {string | null} base_url
 * @property {number} epoch
 * @property {number} sequence
 * @property {ConnectionState} connection_state
 * @property {boolean} reconnecting
 * @property {boolean} joined
 * @property {boolean} agent_active
 * @property {boolean} agent_ready
 * @property {boolean} agent_confirms
 * @property {string | null} agent_identity
 * @property {AgentState} agent_state
 * @property {string | null} raw_agent_state
 * @property {AgentConfig | null} agent_config
 * @property {readonly TranscriptEntry[]} transcript the newest `transcript_limit` entries
 * @property {number} transcript_omitted entries before those
 * @property {number} transcript_limit
 * @property {boolean} can_resume
 * @property {boolean | null} continued after a resume: whether the same agent goes on
 * @property {string | null} error
 * @property {readonly ToolCallChanged[]} tools the tool calls that have not ended
 * @property {readonly ApprovalRequested[]} approvals what the agent waits for a person to approve
 * @property {"AGENT_TIMEOUT" | null} error_code
 * @property {LeaseState | null} microphone
 * @property {LeaseState | null} camera
 * @property {LeaseState | null} screen
 * @property {readonly string[]} surfaces
 * @property {readonly string[]} recording
 */

/**
 * One event of a session; `event` names it, the other members depend on it.
 *
 * @typedef {{event: string, [member: string]: any}} SessionEvent
 */

/** @typedef {{line: "snapshot", cursor: string, sequence: number, time: string, state: SessionState, resumed: boolean}} SnapshotLine */
/** @typedef {{line: "event", cursor: string, sequence: number, time: string, event: SessionEvent}} EventLine */
/** @typedef {{line: "lagged", missed: number}} LaggedLine */

/**
 * @typedef {object} Joined
 * @property {string} key the viewer's bearer; never shown, never logged
 * @property {string} viewer
 * @property {string} instance of the surface: another one after it was mounted again
 * @property {string} session
 * @property {string} cursor
 * @property {number} beat_seconds
 * @property {number} silence_seconds
 * @property {readonly string[]} grants
 * @property {readonly string[]} capabilities
 * @property {readonly SourceKind[]} sources that people on this page may send
 * @property {boolean} typing whether they may type
 * @property {readonly {id: string, name: string, role?: string, avatar_image_url?: string}[]} agents
 * @property {number} max_message_bytes
 * @property {"whep" | "sfu" | "auto"} media how the page gets the agent's picture and sound
 * @property {readonly {urls: string[], username?: string, credential?: string}[]} ice_servers never logged
 * @property {string} share pages that have the same one may share an event stream
 */

/** @typedef {{duration: number, position: number, speed: number, paused: boolean}} Replay a recording that is played; seconds of it */
/** @typedef {{position?: number, speed?: number, paused?: boolean}} ReplayBody what a person changes */
/** @typedef {{viewers: number, active: boolean, quality: {height: number, bitrate: number} | null, replay: Replay | null}} Info */
/** @typedef {{type: string, [member: string]: any}} Message a message in LiveLayer's wire form */
/** @typedef {"capability" | "invalid" | "failed"} Reason why a command was not carried out */

/**
 * What became of a command: `replies` go to the agent first; `leave` is run once the server has
 * been answered, and may leave the page.
 *
 * @typedef {{ok: boolean, reason?: Reason, replies?: Message[], leave?: () => void}} Outcome
 */

/** @typedef {"idle" | "joining" | "live" | "recovering" | "refused" | "ended"} LinkPhase */
/** @typedef {{phase: LinkPhase, code?: string, detail?: string, retryAt?: number}} LinkState `retryAt` on the clock of `Date.now()` */
/** @typedef {{phase: "off" | "connecting" | "live" | "recovering", stream: MediaStream | null, code?: string | null}} MediaState `code`: the server's, why it does not connect */
/** @typedef {"microphone" | "camera" | "speaker"} DeviceKind */
/** @typedef {{id: string, label: string}} Device */
/** @typedef {{list: readonly Device[], chosen: string | null}} DeviceState `chosen`: null: the default */
/** @typedef {{muted: boolean, blocked: boolean, code: string | null, device: string | null}} SpeakerState `code`, `device`: as a source's */

/**
 * @typedef {object} SourceState
 * @property {"off" | "asking" | "waiting" | "on" | "busy" | "denied" | "unavailable"} phase "waiting": it is
 *   captured, and sent once the session is in its room
 * @property {boolean} muted
 * @property {boolean} [silenced] muted by the system, as during a phone call; it goes on by itself
 * @property {string | null} owner who has it, in this session
 * @property {MediaStream | null} stream this page's own
 * @property {string | null} code what went wrong: `MIC_`, `CAMERA_` or `SCREEN_`, and `PERMISSION_DENIED`,
 *   `NOT_FOUND`, `IN_USE`, `UNPLUGGED` or `FAILED`; or the server's. With phase "on", another device is used
 * @property {string | null} device the name of the device that `code` is about, if it is known
 * @property {number} [level] 0 to 1; of the microphone
 */

/** @typedef {{id: string, text: string, failed?: string}} PendingMessage `failed`: the server's code */

export {};
