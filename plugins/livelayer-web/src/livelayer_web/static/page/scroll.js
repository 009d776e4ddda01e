// @ts-check
/** Scrolls the page, or the element that scrolls in its place. */

const STEP = 0.85; // of the visible height

/** @typedef {"up" | "down" | "top" | "bottom"} Direction */

/** @type {readonly Direction[]} */
export const DIRECTIONS = ["up", "down", "top", "bottom"];

/** @param {Direction} direction @param {unknown} behavior */
export function scrollPage(direction, behavior) {
  const scroller = findScroller();
  const step = scroller.clientHeight * STEP;
  const top = { up: scroller.scrollTop - step, down: scroller.scrollTop + step, top: 0, bottom: scroller.scrollHeight }[direction];
  scroller.scrollTo({ top, behavior: asBehavior(behavior) });
}

/** @param {Element} element @param {unknown} behavior */
export function scrollTo(element, behavior) {
  element.scrollIntoView({ block: "start", inline: "nearest", behavior: asBehavior(behavior) });
}

/** @param {unknown} behavior @returns {ScrollBehavior} */
export function asBehavior(behavior) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return "instant";
  return behavior === "instant" || behavior === "auto" ? behavior : "smooth";
}

/** @returns {Element} */
function findScroller() {
  const page = document.scrollingElement ?? document.documentElement;
  if (page.scrollHeight > page.clientHeight + 1) return page;
  let best = page;
  let most = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const area = element.clientWidth * element.clientHeight;
    if (area <= most || element.scrollHeight <= element.clientHeight + 1) continue;
    if (!["auto", "scroll"].includes(getComputedStyle(element).overflowY)) continue;
    [best, most] = [element, area];
  }
  return best;
}
