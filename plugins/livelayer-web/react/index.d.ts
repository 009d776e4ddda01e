import type { ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from "react";

/** A message in LiveLayer's wire form. */
export interface Message {
  type: string;
  [member: string]: unknown;
}

export interface TranscriptEntry {
  id: string;
  role: "agent" | "user";
  text: string;
  final: boolean;
}

export type Display = "hidden" | "minimized" | "expanded";
export type Pattern = string | RegExp | ((path: string) => boolean);

export interface TeamMember {
  id: string;
  name: string;
  role?: string;
  avatarImageUrl?: string;
  agentId?: string;
}

export interface SessionState {
  id: string;
  agent_id: string;
  connection_state: "idle" | "connecting" | "connected" | "disconnected" | "error";
  reconnecting: boolean;
  joined: boolean;
  agent_active: boolean;
  agent_ready: boolean;
  agent_state: "idle" | "listening" | "thinking" | "speaking";
  agent_config: { name: string; avatarImageUrl: string | null; idleLoopUrl: string | null } | null;
  transcript: readonly TranscriptEntry[];
  can_resume: boolean;
  error: string | null;
  error_code: string | null;
  [member: string]: unknown;
}

export interface LinkState {
  phase: "idle" | "joining" | "live" | "recovering" | "refused" | "ended";
  code?: string;
  detail?: string;
  retryAt?: number;
}

export type SourceKind = "microphone" | "camera" | "screen";

/** The page's connection; the documentation of `SessionClient` has all of it. */
export interface SessionClient extends EventTarget {
  readonly state: SessionState | null;
  readonly link: LinkState;
  take(kind: SourceKind): Promise<void>;
  release(kind: SourceKind): Promise<void>;
  setSourceMuted(kind: SourceKind, muted: boolean): Promise<void>;
  setSpeakerMuted(muted: boolean): void;
  switchAgent(id: string): Promise<void>;
}

/** Takes the promise of a command that the page took over: the agent learns how it ended. */
type Done = (promise: unknown) => void;
type Handler<Detail> = (event: CustomEvent<Detail>) => void;

export interface SessionEvents {
  onNavigate?: Handler<{ href: string; url: string; done: Done }>;
  onAgentCommand?: Handler<{ command: string; message: Message; done: Done }>;
  onAgentEvent?: Handler<{ type: string; message: Message }>;
  onDataMessage?: Handler<{
    type: string | null;
    message: Message | null;
    base64: string | null;
    topic: string | null;
    sender: string | null;
    fromAgent: boolean;
  }>;
  onConnectionChange?: Handler<{
    state: "idle" | "connecting" | "connected" | "disconnected" | "error";
    previous: string;
    link: string;
    reconnecting: boolean;
    error: string | null;
  }>;
  onAgentState?: Handler<{ state: "idle" | "listening" | "thinking" | "speaking"; raw: string | null }>;
  onTranscript?: Handler<{ entry: TranscriptEntry | null; transcript: readonly TranscriptEntry[] }>;
  onField?: Handler<Record<string, unknown>>;
  onCollected?: Handler<Record<string, unknown>>;
}

interface Talks extends HTMLElement {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  sendMessage(text: string): Promise<unknown>;
  sendData(message: Message): Promise<unknown>;
}

/** A field as the agent knows it; `kind` is one of the kinds in livelayer-web's README. */
export interface RegisteredField {
  id: string;
  label?: string;
  kind?: string;
  value?: string | number | boolean | string[];
  required?: boolean;
  description?: string;
  options?: ({ value: string; label: string } | string)[];
  selector?: string;
  formId?: string;
}

export interface Screenshots {
  take(request: { reason: string; ignore: (element: Element) => boolean }): Promise<Blob | null>;
  upload:
    | string
    | ((picture: Blob, details: { route: string; reason: string; hash: string; capturedAt: string }) => Promise<string>);
  interval?: number;
}

export interface LiveLayerSessionElement extends Talks {
  readonly client: SessionClient;
  registerFields(fields: readonly RegisteredField[]): () => void;
}

export interface LiveLayerAvatarElement extends Talks, SurfaceOptions {
  client: SessionClient | null;
  display: Display;
  captions: boolean;
  transcript: boolean;
}

/** Which session: of the session element, or of an avatar that opens its own. */
interface Source {
  base?: string;
  agentId?: string;
  token?: string;
  autoConnect?: boolean;
  capabilities?: string;
  navigateOrigins?: string;
  shareFields?: "values" | "labels" | "none";
}

export type Corner = `${"top" | "bottom"}-${"start" | "end" | "left" | "right"}`;

/** Of an avatar: each an attribute and a property. */
export interface SurfaceOptions {
  allowMic?: boolean;
  allowCamera?: boolean;
  allowScreenShare?: boolean;
  allowTyping?: boolean;
  showMinimize?: boolean;
  showClose?: boolean;
  resizable?: boolean;
  position?: Corner;
  mobileBreakpoint?: number | false;
  contained?: boolean;
  chromeless?: boolean;
  compactControls?: boolean;
  greeting?: string;
  suggestions?: string | readonly string[];
  agentName?: string;
  avatarImageUrl?: string;
  idleLoopUrl?: string;
  blurUntilFirstSpeech?: boolean;
  transforming?: boolean;
  transformingLabel?: string;
  sounds?: boolean;
  eventLog?: boolean;
}

type Extras = Record<string, unknown>;
type Html = Omit<HTMLAttributes<HTMLElement>, keyof SessionEvents>;

export interface LiveLayerSessionProps extends Html, Source, SessionEvents {
  tokenProvider?: () => string | null | undefined | Promise<string | null | undefined>;
  contextProvider?: (extras: Extras | null) => unknown;
  contextExtras?: Extras | (() => Extras | null | undefined);
  routes?: readonly unknown[] | (() => unknown);
  screenshots?: Screenshots | null;
}

export interface LiveLayerAvatarProps extends Html, Source, SurfaceOptions {
  mode?: "embedded" | "widget";
  display?: Display;
  persistKey?: string;
  showOn?: string | readonly Pattern[];
  hideOn?: string | readonly Pattern[];
  pathname?: string;
  teamMembers?: string | readonly TeamMember[];
  session?: string;
  theme?: "light" | "dark";
  debug?: boolean;
  tokenProvider?: LiveLayerSessionProps["tokenProvider"];
  contextExtras?: LiveLayerSessionProps["contextExtras"];
  onDisplayChange?: Handler<{ display: Display }>;
}

export const LiveLayerSession: ForwardRefExoticComponent<
  LiveLayerSessionProps & RefAttributes<LiveLayerSessionElement>
>;
export const LiveLayerAvatar: ForwardRefExoticComponent<
  LiveLayerAvatarProps & RefAttributes<LiveLayerAvatarElement>
>;

export interface LiveLayer extends Pick<Talks, "connect" | "disconnect" | "sendMessage" | "sendData"> {
  /** Null on a server, and until the elements are loaded; so are `state` and `link`. */
  client: SessionClient | null;
  state: SessionState | null;
  link: LinkState | null;
}

/** The session of the `LiveLayerSession` around it; renders again when its state or link changes. */
export function useLiveLayer(): LiveLayer;

/** Loads the elements once, from the server whose sessions they show; tries twice, and then rejects with what to do. Call it in an effect. */
export function loadLiveLayer(base?: string): Promise<unknown>;
