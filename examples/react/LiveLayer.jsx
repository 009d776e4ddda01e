"use client";
/**
 * The two elements of livelayer-web as React components. React 18 or 19, also rendered on a server;
 * copy this file, and for TypeScript `LiveLayer.d.ts` beside it.
 *
 *   <LiveLayerSession base="/livelayer" autoConnect onNavigate={(event) => { ... }}>
 *     <LiveLayerAvatar mode="embedded" />
 *     <LiveLayerAvatar mode="widget" persistKey="bubble" showOn={["/", "/docs/**"]} ref={bubble} />
 *   </LiveLayerSession>
 *
 * Strings, numbers and booleans become attributes, `persistKey` as `persist-key`; arrays, objects
 * and functions become properties. Callbacks get the DOM event: `event.detail` is what happened, and
 * `event.preventDefault()` in `onNavigate` says that your router goes there instead, and
 * `event.detail.done(promise)` how that ends. A ref is the element itself, with `connect()`,
 * `disconnect()`, `sendMessage()` and `sendData()`. React's own events (`onClick`) stay React's.
 *
 * Mount the session above your routes: the connection lives as long as that component does.
 */

import { createElement, forwardRef, useEffect, useImperativeHandle, useLayoutEffect, useRef } from "react";

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
const REACTS = /^(on[A-Z].*|style|suppressHydrationWarning)$/; // what React itself takes

/** Effects run in browsers only; React 18 warns of a layout effect that is rendered on a server. */
const useBeforePaint = typeof document === "undefined" ? useEffect : useLayoutEffect;

/** Loads the elements once, from the server whose sessions they show. Call it in an effect. */
export function loadLiveLayer(base = "/livelayer") {
  return import(/* webpackIgnore: true */ /* @vite-ignore */ `${base}/js/livelayer.js`);
}

export const LiveLayerSession = component("livelayer-session");
export const LiveLayerAvatar = component("livelayer-avatar");

function component(tag) {
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

    // An element that is there before React may have marked itself: that is no mismatch.
    return createElement(tag, { suppressHydrationWarning: true, ...attributesOf(props), ref: element }, children);
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
    if (name in EVENTS || isProperty(name, value) || value === false || value == null) continue;
    if (REACTS.test(name)) found[name] = value;
    else found[attributeOf(name)] = value === true ? "" : value;
  }
  return found;
}

/** In capitals, which HTML ignores: React 19 would set `display` or `hidden` as a property instead. */
function attributeOf(name) {
  if (name === "className") return "class";
  return name.replace(/[A-Z]/g, (capital) => `-${capital}`).toUpperCase();
}
