"use client";
/**
 * The two elements of livelayer-web as React components, and `useLiveLayer()` below them. React 18 or
 * 19, also rendered on a server.
 *
 *   <LiveLayerSession base="/livelayer" autoConnect onNavigate={(event) => { ... }}>
 *     <LiveLayerAvatar mode="embedded" />
 *     <LiveLayerAvatar mode="widget" persistKey="bubble" showOn={["/", "/docs/**"]} ref={bubble} />
 *   </LiveLayerSession>
 *
 * Strings, numbers and booleans become attributes, `persistKey` as `persist-key`, and what is on unless
 * it is switched off, as `allowMic={false}`, `allow-mic="false"`; arrays, objects and functions become
 * properties. Callbacks get the DOM event: `event.detail` is what happened, and
 * `event.preventDefault()` in `onNavigate` says that your router goes there instead, and
 * `event.detail.done(promise)` how that ends. A ref is the element itself, with `connect()`,
 * `disconnect()`, `sendMessage()` and `sendData()`. React's own events (`onClick`) stay React's.
 *
 * Mount the session above your routes: the connection lives as long as that component does.
 */

import { createContext, createElement, forwardRef, useContext, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState, useSyncExternalStore } from "react";

const EVENTS = {
  onNavigate: "navigate",
  onAgentCommand: "agent-command",
  onAgentEvent: "agent-event",
  onDataMessage: "data-message",
  onConnectionChange: "connection-change",
  onAgentState: "agent-state",
  onTranscript: "transcript",
  onField: "field",
  onCollected: "collected",
  onDisplayChange: "display-change", // the avatar's own
};
const ON = /^((allow|show)[A-Z].*|resizable|mobileBreakpoint|(aria|data)-.*)$/; // false is said, not left out
const REACTS = /^(on[A-Z].*|style|suppressHydrationWarning)$/; // what React itself takes

/** Effects run in browsers only; React 18 warns of a layout effect that is rendered on a server. */
const useBeforePaint = typeof document === "undefined" ? useEffect : useLayoutEffect;

/** Loads the elements once, from the server whose sessions they show; tries twice. Call it in an effect. */
export async function loadLiveLayer(base = "/livelayer") {
  const address = `${base}/js/livelayer.js`;
  const load = (address) => import(/* webpackIgnore: true */ /* @vite-ignore */ address);
  try {
    return await load(address);
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  try {
    return await load(`${address}?again`); // browsers may keep the first address's failure
  } catch (cause) {
    throw new Error(`livelayer: ${address} cannot be loaded, twice; is the server's base path ${base}?`, { cause });
  }
}

const SessionContext = createContext(null);

export const LiveLayerSession = component("livelayer-session", SessionContext);
export const LiveLayerAvatar = component("livelayer-avatar");

/**
 * The session of the `LiveLayerSession` around it: what it is at now, and what can be done with it.
 * `client`, `state` and `link` are null on a server, and until the elements are loaded.
 */
export function useLiveLayer() {
  const store = useContext(SessionContext);
  if (store === null) throw new Error("useLiveLayer() needs a <LiveLayerSession> around it");
  const now = useSyncExternalStore(store.subscribe, store.read, store.readOnServer);
  return { ...now, ...store.calls };
}

const NOTHING = Object.freeze({ client: null, state: null, link: null });

/** What a session's element is at, as React reads it. */
function sessionStore() {
  let element = null;
  let now = NOTHING;
  const readers = new Set();
  const look = () => {
    const client = element?.client ?? null;
    const next = client === null ? NOTHING : { client, state: client.state, link: client.link };
    if (Object.keys(next).every((name) => next[name] === now[name])) return;
    now = next;
    for (const reader of readers) reader();
  };
  const call = (name) => async (...given) => {
    if (typeof element?.[name] !== "function") throw new Error("the elements are not loaded yet: call loadLiveLayer()");
    return await element[name](...given);
  };
  return {
    read: () => now,
    readOnServer: () => NOTHING,
    subscribe: (reader) => {
      readers.add(reader);
      return () => readers.delete(reader);
    },
    calls: Object.fromEntries(["connect", "disconnect", "sendMessage", "sendData"].map((name) => [name, call(name)])),
    follow: (found) => {
      element = found;
      const life = new AbortController();
      const { signal } = life;
      const meet = () => {
        for (const kind of ["state", "link"]) found.client?.addEventListener(kind, look, { signal });
        look();
      };
      found.addEventListener("livelayer-session-ready", meet, { signal });
      meet();
      return () => life.abort();
    },
  };
}

function component(tag, context = null) {
  const Component = forwardRef(function LiveLayer({ children, ...props }, ref) {
    const element = useRef(null);
    const latest = useRef(props);
    useImperativeHandle(ref, () => element.current);

    // Properties before the browser paints; those that are gone are taken back.
    const given = useRef({});
    useBeforePaint(() => {
      latest.current = props;
      const next = propertiesOf(props);
      for (const name of Object.keys(given.current)) {
        if (!(name in next)) element.current[name] = null;
      }
      for (const [name, value] of Object.entries(next)) {
        if (given.current[name] !== value) element.current[name] = value;
      }
      given.current = next;
    });

    // One listener an event for the element's life: a new callback needs no new listener.
    useBeforePaint(() => {
      const life = new AbortController();
      for (const [prop, type] of Object.entries(EVENTS)) {
        const call = (event) => latest.current[prop]?.(event);
        element.current.addEventListener(type, call, { signal: life.signal });
      }
      return () => life.abort();
    }, []);

    const [store] = useState(context && sessionStore);
    useBeforePaint(() => store?.follow(element.current), [store]);

    // An element that is there before React may have marked itself: that is no mismatch.
    const made = createElement(tag, { suppressHydrationWarning: true, ...attributesOf(props), ref: element }, children);
    return context === null ? made : createElement(context.Provider, { value: store }, made);
  });
  Component.displayName = tag;
  return Component;
}

function isProperty(name, value) {
  if (REACTS.test(name) || value === null) return false;
  return typeof value === "object" || typeof value === "function";
}

function propertiesOf(props) {
  return Object.fromEntries(Object.entries(props).filter(([name, value]) => isProperty(name, value)));
}

function attributesOf(props) {
  const found = {};
  for (const [name, value] of Object.entries(props)) {
    if (name in EVENTS || isProperty(name, value) || value == null) continue;
    if (REACTS.test(name)) found[name] = value;
    else if (value !== false) found[attributeOf(name)] = value === true ? "" : value;
    else if (ON.test(name)) found[attributeOf(name)] = "false";
  }
  return found;
}

/** In capitals, which HTML ignores: React 19 would set `display` or `hidden` as a property instead. */
function attributeOf(name) {
  if (name === "className") return "class";
  return name.replace(/[A-Z]/g, (capital) => `-${capital}`).toUpperCase();
}
