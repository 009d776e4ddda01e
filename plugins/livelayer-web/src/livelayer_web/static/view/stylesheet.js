// @ts-check
/** The style sheet of every avatar on the page, adopted by each shadow root. */

import stylesheet from "./avatar.css" with { type: "css" };

export { stylesheet };

const COLOURS = /light-dark\(((?:[^(),]|\([^()]*\))*),((?:[^()]|\([^()]*\))*)\)/g;

/**
 * For browsers without `light-dark()` (Safari before 17.5): each becomes two variables, of which one is
 * empty. Only custom properties have it, since those keep what a browser does not know.
 *
 * @param {CSSStyleSheet} sheet
 */
export function splitColours(sheet) {
  for (const rule of sheet.cssRules) {
    if (!(rule instanceof CSSStyleRule)) continue;
    for (const name of rule.style) {
      const value = rule.style.getPropertyValue(name);
      const split = value.replace(COLOURS, "var(--_if-light,$1) var(--_if-dark,$2)");
      if (split !== value) rule.style.setProperty(name, split);
    }
  }
  const dark = "{ --_if-light: ; --_if-dark: initial; }";
  for (const rule of [
    ".root { --_if-light: initial; --_if-dark: ; }",
    `@media (prefers-color-scheme: dark) { .root:not([data-theme="light"]) ${dark} }`,
    `.root[data-theme="dark"] ${dark}`,
  ]) sheet.insertRule(rule, sheet.cssRules.length);
}

if (!CSS.supports("color", "light-dark(#000, #fff)")) splitColours(stylesheet);
