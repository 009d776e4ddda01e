/** The types of `LiveLayer.jsx`. */

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
  readonly client: EventTarget;
  registerFields(fields: readonly RegisteredField[]): () => void;
}

export interface LiveLayerAvatarElement extends Talks {
  client: EventTarget | null;
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

type Html = Omit<HTMLAttributes<HTMLElement>, keyof SessionEvents>;

export interface LiveLayerSessionProps extends Html, Source, SessionEvents {
  tokenProvider?: () => string | null | undefined | Promise<string | null | undefined>;
  contextProvider?: () => unknown;
  routes?: readonly unknown[] | (() => unknown);
  screenshots?: Screenshots | null;
}

export interface LiveLayerAvatarProps extends Html, Source {
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
  onDisplayChange?: Handler<{ display: Display }>;
}

export const LiveLayerSession: ForwardRefExoticComponent<
  LiveLayerSessionProps & RefAttributes<LiveLayerSessionElement>
>;
export const LiveLayerAvatar: ForwardRefExoticComponent<
  LiveLayerAvatarProps & RefAttributes<LiveLayerAvatarElement>
>;

/** Loads the elements once, from the server whose sessions they show. Call it in an effect. */
export function loadLiveLayer(base?: string): Promise<unknown>;
