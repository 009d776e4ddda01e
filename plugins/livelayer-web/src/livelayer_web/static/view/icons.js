// @ts-check
/** The icons: strokes on a grid of 24, in the colour of the text; drawn for this project. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  down: "M6 9.5l6 6 6-6",
  close: "M6.5 6.5l11 11 M17.5 6.5l-11 11",
  send: "M12 19V5.5 M6 11.5l6-6 6 6",
  microphone: "M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3z M5.5 11.5a6.5 6.5 0 0 0 13 0 M12 18v2.5",
  microphoneOff:
    "M9 9v2.5a3 3 0 0 0 4.6 2.5 M15 11V6.5a3 3 0 0 0-5.8-1 M5.5 11.5a6.5 6.5 0 0 0 9.9 5.5 " +
    "M18.3 13a6.6 6.6 0 0 0 .2-1.5 M12 18v2.5 M4 4l16 16",
  cameraOff:
    "M9.5 6.5h3A2.5 2.5 0 0 1 15 9v3 M15 15.2A2.5 2.5 0 0 1 12.5 17.5h-7A2.5 2.5 0 0 1 3 15V9a2.5 2.5 0 0 1 2-2.4 " +
    "M15 11l4.3-2.9c.7-.4 1.7 0 1.7.9v6c0 .5-.3.9-.7 1 M4 4l16 16",
  camera:
    "M5.5 6.5h7a2.5 2.5 0 0 1 2.5 2.5v6a2.5 2.5 0 0 1-2.5 2.5h-7A2.5 2.5 0 0 1 3 15V9a2.5 2.5 0 0 1 2.5-2.5z " +
    "M15 11l4.3-2.9c.7-.4 1.7 0 1.7.9v6c0 .9-1 1.3-1.7.9L15 13",
  screen:
    "M5 4.5h14a2 2 0 0 1 2 2v8.5a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V6.5a2 2 0 0 1 2-2z M8.5 20h7 M12 13.5V8 " +
    "M9.5 10.5L12 8l2.5 2.5",
  speaker:
    "M4 10v4a1 1 0 0 0 1 1h2.5l4 3.5V5.5l-4 3.5H5a1 1 0 0 0-1 1z M15 9.5a3.5 3.5 0 0 1 0 5 M17.5 7a7 7 0 0 1 0 10",
  speakerOff: "M4 10v4a1 1 0 0 0 1 1h2.5l4 3.5V5.5l-4 3.5H5a1 1 0 0 0-1 1z M16 9.8l4.4 4.4 M20.4 9.8l-4.4 4.4",
  transcript:
    "M5.5 5h13A1.5 1.5 0 0 1 20 6.5v8a1.5 1.5 0 0 1-1.5 1.5H11l-4.5 3.5V16h-1A1.5 1.5 0 0 1 4 14.5v-8A1.5 1.5 0 0 1 5.5 5z " +
    "M8 9.2h8 M8 12.2h5",
  captions:
    "M5 5.5h14a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-9a2 2 0 0 1 2-2z M10.5 10.5a2 2 0 1 0 0 3 " +
    "M17 10.5a2 2 0 1 0 0 3",
  devices: "M4 7.5h8.5 M17.5 7.5H20 M15 5v5 M4 16.5h2.5 M11.5 16.5H20 M9 14v5",
  team:
    "M9 4.5a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4z M3 19.5c0-3.3 2.7-5.5 6-5.5s6 2.2 6 5.5 " +
    "M15.5 4.9a3.2 3.2 0 0 1 0 5.6 M17 14.3c2.4.7 4 2.6 4 5.2",
  hangUp:
    "M3.8 14.9c-.6-.9-.7-2-.1-2.9C5.3 9.6 8.5 8 12 8s6.7 1.6 8.3 4c.6.9.5 2-.1 2.9l-.9 1.2c-.4.5-1 .7-1.6.5l-2.5-.9c-.6-.2-1-.8-1-1.4v-1.5c-1.4-.4-3-.4-4.4 0v1.5c0 .6-.4 1.2-1 1.4l-2.5.9c-.6.2-1.2 0-1.6-.5z",
  retry: "M19.5 12a7.5 7.5 0 1 1-2.3-5.4 M19.5 4v4h-4",
  bug:
    "M12 8.5a4 4 0 0 1 4 4V15a4 4 0 0 1-8 0v-2.5a4 4 0 0 1 4-4z M9.5 8.8V7.5a2.5 2.5 0 0 1 5 0v1.3 " +
    "M8 13.5H4.5M19.5 13.5H16M8.2 10.8L5.5 8.5M15.8 10.8l2.7-2.3M8.5 17l-2.5 2.5M15.5 17l2.5 2.5",
  check: "M5.5 12.5l4.5 4.5 8.5-9.5",
  alert: "M12 8v5 M12 16.5v.1 M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
  lock:
    "M6.5 10.5h11A1.5 1.5 0 0 1 19 12v6.5a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5V12a1.5 1.5 0 0 1 1.5-1.5z " +
    "M8 10.5V8a4 4 0 0 1 8 0v2.5",
  info: "M12 11.5v5 M12 8v.1 M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z",
  more: "M6 12h.01 M12 12h.01 M18 12h.01",
  copy:
    "M10 8.5h8a1.5 1.5 0 0 1 1.5 1.5v8a1.5 1.5 0 0 1-1.5 1.5h-8A1.5 1.5 0 0 1 8.5 18v-8A1.5 1.5 0 0 1 10 8.5z " +
    "M5.8 15.5A1.3 1.3 0 0 1 4.5 14V6A1.5 1.5 0 0 1 6 4.5h8a1.3 1.3 0 0 1 1.5 1.3",
  eyeOff:
    "M9.9 5.8A8.6 8.6 0 0 1 12 5.5c5.5 0 9 6.5 9 6.5a15 15 0 0 1-2.7 3.4 M14.2 14.2a3 3 0 0 1-4.3-4.2 " +
    "M6.3 7.5A15.5 15.5 0 0 0 3 12s3.5 6.5 9 6.5a8.7 8.7 0 0 0 4.2-1.1 M4 4l16 16",
  stop: "M8.5 7h7A1.5 1.5 0 0 1 17 8.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 7 15.5v-7A1.5 1.5 0 0 1 8.5 7z",
  pause: "M9 6v12 M15 6v12",
  play: "M8 5.5v13l10.5-6.5z",
  clear: "M5 7h14 M10 7V5h4v2 M7 7l.8 12h8.4L17 7",
};

/** @typedef {keyof typeof PATHS} IconName */

/**
 * A decoration: hidden from assistive technology, which reads the label of the button around it.
 *
 * @param {IconName} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  turn(svg, name);
  return svg;
}

/**
 * Turns an icon into another in place, so that its button keeps focus and hover.
 *
 * @param {SVGSVGElement} svg
 * @param {IconName} name
 */
export function turn(svg, name) {
  if (svg.dataset.icon === name) return;
  svg.dataset.icon = name;
  svg.firstElementChild?.setAttribute("d", PATHS[name]);
}
