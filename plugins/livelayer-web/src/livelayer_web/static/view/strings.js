// @ts-check
/** Every string that the avatar shows or announces, in English, and how to replace them. */

/** Placeholders such as `{name}` are replaced; a translation may omit them. */
export const ENGLISH = Object.freeze({
  assistant: "Assistant",
  you: "You",
  region: "{name}, assistant",
  regionFloating: "{name}, floating assistant",

  connect: "Talk to {name}",
  welcome: "How can I help you?",
  suggestions: "Suggestions",
  cancel: "Cancel",
  retry: "Try again",
  retryNow: "Try now",
  resume: "Continue conversation",
  restart: "Start again",
  end: "End conversation",
  endShared: "Other pages are in this conversation, too.",
  leave: "Leave it",
  endForAll: "End it for all",
  hear: "Tap to hear {name}",
  interrupt: "Interrupt {name}",
  toolRuns: "Working on {tool}",
  toolDone: "Finished {tool}",
  toolFailed: "{tool} failed",
  toolStopped: "Stopped {tool}",
  approvalTitle: "{name} asks for your approval",
  approve: "Approve",
  refuse: "Refuse",

  phaseMissing: "No session",
  phaseIdle: "Ready when you are",
  phaseConnecting: "Connecting",
  phaseJoining: "Joining",
  phaseReady: "Getting ready",
  phaseListening: "Listening",
  phaseThinking: "Thinking",
  phaseSpeaking: "Speaking",
  phaseReconnecting: "Reconnecting",
  phaseRecovering: "Connection lost",
  phaseAbsent: "No answer",
  phaseError: "Something went wrong",
  phaseEnded: "Conversation ended",
  phaseClosed: "Closed",
  phaseRefused: "Not allowed",

  hintMissing: "This page has no session for the assistant.",
  hintIdle: "Talk or type. Nothing is sent before you start.",
  hintIdleTalk: "Just talk. Nothing is sent before you start.",
  hintIdleType: "Just type. Nothing is sent before you start.",
  hintIdleWatch: "The conversation has not started yet.",
  hintServer: "Reaching the server…",
  hintRoom: "Opening the conversation…",
  hintJoining: "Waiting for {name} to join…",
  hintReconnecting: "Restoring the conversation. What you type is sent as soon as it is back.",
  hintRecovering: "Trying again. Nothing you type is lost.",
  hintRecoveringIn: "Trying again in {seconds} s. Nothing you type is lost.",
  hintEnded: "You can start again at any time.",
  hintResume: "You can go on where you stopped.",
  hintClosed: "The assistant is no longer on this page.",
  hintRevoked: "Your access to this conversation has ended.",
  hintRefused: "The server does not let this page take part.",
  refusedExpired: "Your access has run out. Reload the page to get a new one.",
  refusedReplayed: "This access was used before. Reload the page to get a new one.",
  refusedToken: "This page has no valid access to the conversation.",
  refusedOrigin: "The assistant may not be used from this website.",
  refusedHost: "The assistant cannot be reached at this address.",
  refusedGrant: "You may not take part in this conversation.",
  refusedLogin: "Your login on this website has run out. Log in again, and reload the page.",
  refusedSetup: "The assistant is not set up correctly on this website. Please tell its operator.",
  waitFull: "There is no room for another page at the moment.",
  waitRate: "There were too many requests.",
  waitUnmounted: "The assistant is away at the moment.",
  hintAbsent: "{name} has not come. Try again, or wait a little longer.",
  hintError: "The conversation could not go on.",
  agentError: "{name} has a problem: {reason}",
  pictureRenewing: "The picture is coming back",
  transforming: "Transforming…",
  recording: "Recording",

  composerLabel: "Message {name}",
  composerReadOnly: "You are watching",
  send: "Send",
  tooLong: "{count} bytes too long",
  bytesLeft: "{count} bytes left",
  outbox: "Messages not delivered yet",
  outboxWaiting: "Sending…",
  outboxKept: "Kept until the connection is back",
  outboxSoon: "Sent as soon as {name} is there",
  outboxFailed: "Not sent",
  failedSize: "It is too long.",
  failedTimeout: "The agent did not take it.",
  failedRate: "Too many at once.",
  failedGrant: "You may only watch.",
  failedNotAllowed: "Messages are not allowed here.",
  failedOffline: "The conversation is over.",
  outboxRetry: "Send again",
  outboxDiscard: "Discard",

  controls: "Conversation controls",
  microphoneOn: "Turn microphone on",
  microphoneMute: "Mute microphone",
  microphoneUnmute: "Unmute microphone",
  microphoneOff: "Turn microphone off",
  cameraOn: "Turn camera on",
  cameraOff: "Turn camera off",
  screenOn: "Share your screen",
  screenOff: "Stop sharing your screen",
  microphoneIsOff: "{name} cannot hear you",
  microphoneIsOn: "Microphone on",
  microphoneIsMuted: "Microphone muted",
  microphoneIsHeld: "On, until {name} is ready",
  microphoneIsSilenced: "Muted by your device",
  microphoneIsBlocked: "Blocked in the browser",
  microphoneIsBusy: "In use elsewhere",
  microphoneIsUnavailable: "Not available",
  cameraIsOn: "Camera on",
  screenIsOn: "Screen shared",
  microphoneAsking: "Allow the microphone in your browser's prompt.",
  cameraAsking: "Allow the camera in your browser's prompt.",
  screenAsking: "Choose what to share in your browser's prompt.",
  microphoneDenied: "The microphone is blocked. Allow it in the browser's site settings, then try again.",
  cameraDenied: "The camera is blocked. Allow it in the browser's site settings, then try again.",
  screenDenied: "Screen sharing was not allowed.",
  microphoneBusy: "The microphone is in use by {owner}.",
  cameraBusy: "The camera is in use by {owner}.",
  screenBusy: "The screen is being shared by {owner}.",
  microphoneElsewhere: "The microphone is in use in another window.",
  cameraElsewhere: "The camera is in use in another window.",
  screenElsewhere: "A screen is being shared in another window.",
  microphoneUnavailable: "The microphone could not be turned on. Try again.",
  cameraUnavailable: "The camera could not be turned on. Try again.",
  screenUnavailable: "The screen cannot be shared here.",
  microphoneMissing: "No microphone was found. Plug one in, then try again.",
  cameraMissing: "No camera was found. Plug one in, then try again.",
  microphoneInUse: "Another program is using the microphone. Close it, or choose another microphone.",
  cameraInUse: "Another program is using the camera. Close it, or choose another camera.",
  microphoneLost: "The microphone was unplugged and is off. Plug it in, then try again.",
  cameraLost: "The camera was unplugged and is off. Plug it in, then try again.",
  microphoneUnplugged: "{device} was unplugged. The default microphone is used now.",
  cameraUnplugged: "{device} was unplugged. The default camera is used now.",
  speakerUnplugged: "{device} was unplugged. The default speaker is used now.",
  deviceFailed: "{device} cannot be used. The one before is still used.",
  microphoneWaiting: "The microphone is on. {name} hears you as soon as the conversation begins.",
  replay: "Recording",
  replayPlay: "Play",
  replayPause: "Pause",
  replayPosition: "Position",
  replayTime: "{position} of {duration}",
  replaySpeed: "Speed",
  microphoneSilenced: "The system has muted your microphone, perhaps for a phone call. It goes on by itself.",
  cameraSilenced: "The system has paused your camera. It goes on by itself.",
  mediaUnavailable: "Picture and sound are not available at the moment. They are tried again.",
  mediaFull: "Every place for picture and sound is taken at the moment. They come as soon as there is one.",
  devices: "Choose devices",
  deviceDefault: "Default",
  microphoneDevices: "Microphone",
  cameraDevices: "Camera",
  speakerDevices: "Speaker",
  someone: "someone else",
  yourCamera: "Your camera",
  yourScreen: "Your screen",
  mute: "Mute sound",
  unmute: "Unmute sound",
  captions: "Captions",
  transcript: "Transcript",
  transcriptEmpty: "What is said appears here.",
  startsAfresh: "The earlier conversation has ended. This is a new one.",
  isRecorded: "This conversation is being recorded.",
  lineFailed: "Not sent",
  team: "Talk to someone else",
  moreControls: "More controls",
  options: "Options",
  debug: "Event log",
  dismiss: "Dismiss",

  fields: "Collected",
  fieldsDone: "Complete",
  fieldEmpty: "empty",

  open: "Open conversation with {name}",
  bubbleHint: "Arrow keys move it, Home and End send it to a corner.",
  minimise: "Minimise",
  hide: "Hide",
  reveal: "Show {name}",
  movedTo: "Moved: {place}",
  placeLeft: "left",
  placeRight: "right",
  placeTop: "top",
  placeMiddle: "middle",
  placeBottom: "bottom",
  resize: "Resize",
  resizeHint: "Arrow keys change the size, Enter restores it.",
  resizedTo: "Size: {width} by {height}",

  debugTitle: "Events",
  debugFilter: "Filter",
  debugPause: "Pause",
  debugResume: "Go on",
  debugClear: "Clear",
  debugCopy: "Copy",
  debugCopied: "Copied",
  debugClose: "Close the event log",
  debugCount: "{shown} of {kept} shown, {dropped} dropped",
});

/** @typedef {keyof typeof ENGLISH} Key */
/** @typedef {Partial<Record<Key, string>>} Strings */
/** @typedef {(key: Key, values?: Record<string, string | number>) => string} Translate */

/** @type {Map<string, Strings>} */
const languages = new Map();

/** Called when a language was added, to redraw. @type {Set<() => void>} */
export const listeners = new Set();

/**
 * Adds a language for every avatar whose `lang` begins with it; missing strings stay English.
 *
 * @param {string} language a BCP 47 tag such as "de" or "pt-BR"
 * @param {Strings} strings
 */
export function setStrings(language, strings) {
  const tag = language.toLowerCase();
  languages.set(tag, { ...languages.get(tag), ...strings });
  for (const listener of listeners) listener();
}

/**
 * The texts for a language.
 *
 * @param {string} language
 * @returns {Translate}
 */
export function translator(language) {
  const tag = language.toLowerCase();
  const base = languages.get(tag.split("-")[0] ?? "");
  const table = { ...base, ...languages.get(tag) };
  return (key, values = {}) =>
    (table[key] ?? ENGLISH[key]).replace(/\{(\w+)\}/g, (whole, name) =>
      String(values[name] ?? whole),
    );
}
