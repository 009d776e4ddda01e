// @ts-check
/** The design's values. A page sets the `--ll-...` ones; the `--_...` ones are ours alone. */

import { sheet } from "./sheet.js";

export const tokens = sheet(`
/* Inner important rules win over a page's, so that no reset of its takes the surface apart. */
:host {
  display: block !important;
  position: relative !important;
  float: none !important;
  visibility: visible !important;
  clip-path: none !important;
  block-size: var(--ll-height, 560px);
  min-inline-size: 0;
}
:host([mode="widget"]), :host(:not([mode="embedded"])) { display: contents !important; }
:host([hidden]), :host([data-away]) { display: none !important; }

.root {
  all: initial;
  color-scheme: light dark;
  --_accent: var(--ll-accent, light-dark(#3a4bdc, #98a4ff));
  --_on-accent: var(--ll-on-accent, light-dark(#ffffff, #0d1022));
  --_bg: var(--ll-background, light-dark(#ffffff, #13151b));
  --_soft: var(--ll-surface, light-dark(#f2f4f8, #1e212a));
  --_softer: light-dark(#e8ebf2, #2a2e39);
  --_text: var(--ll-text, light-dark(#11141c, #f2f4f9));
  --_muted: var(--ll-muted, light-dark(#525a69, #a9b1c0));
  --_line: light-dark(#e3e6ee, #292d38);
  --_edge: light-dark(#828a9a, #747d90);
  --_glass: light-dark(rgb(255 255 255 / 0.88), rgb(16 18 24 / 0.84));
  --_good: light-dark(#08704f, #56d8ab);
  --_think: light-dark(#8c5200, #f4bd62);
  --_bad: light-dark(#b0231b, #ff9d94);
  --_end: #c4302b;
  --_warn-bg: light-dark(#fff3dc, #33270f);
  --_warn-text: light-dark(#5c3a00, #ffd995);
  --_bad-bg: light-dark(#fdeae8, #3a1a18);
  --_bad-text: light-dark(#8c1811, #ffb9b2);
  --_info-bg: light-dark(#eaeefe, #1d2340);
  --_info-text: light-dark(#2935a3, #c3cbff);
  --_radius: var(--ll-radius, 22px);
  --_inner: max(6px, calc(var(--_radius) - 8px));
  --_size: var(--ll-font-size, 15px);
  --_target: 44px;
  --_gap: 8px;
  --_shadow: 0 1px 2px rgb(12 15 28 / 0.10), 0 12px 40px -8px rgb(12 15 28 / 0.28);
  --_ease: cubic-bezier(0.2, 0.8, 0.2, 1);
  --_level: 0;
  display: block;
  box-sizing: border-box;
  block-size: 100%;
  font-family: var(--ll-font, ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif);
  font-size: var(--_size);
  line-height: 1.45;
  color: var(--_text);
  text-align: start;
  -webkit-text-size-adjust: 100%;
  -webkit-font-smoothing: antialiased;
  -webkit-tap-highlight-color: transparent;
}
.root[data-theme="light"] { color-scheme: light; }
.root[data-theme="dark"] { color-scheme: dark; }

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
p, h2, ul, ol, dl, dd { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h2 { font: inherit; }
button, input, textarea {
  font: inherit;
  color: inherit;
  letter-spacing: inherit;
  margin: 0;
}
button {
  appearance: none;
  border: 0;
  padding: 0;
  background: none;
  cursor: pointer;
  touch-action: manipulation;
}
:focus { outline: none; }
:focus-visible {
  outline: 2px solid var(--_accent);
  outline-offset: 2px;
  box-shadow: 0 0 0 2px var(--_bg);
}
.unseen {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
.icon {
  inline-size: 22px;
  block-size: 22px;
  flex: none;
  fill: none;
  stroke: currentColor;
  stroke-width: 1.75;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.icon[data-icon="more"] { stroke-width: 2.6; }
.icon .dots { stroke-width: 2.6; }
`);
