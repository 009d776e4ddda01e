// @ts-check
/** What each phase looks like by shape, colour and movement; stills for who wants little motion. */

import { sheet } from "./sheet.js";

export const motion = sheet(`
[data-phase="listening"] { --_state: var(--_good); }
[data-phase="thinking"] { --_state: var(--_think); }
[data-phase="speaking"] { --_state: var(--_accent); }
:is([data-phase="connecting"], [data-phase="joining"], [data-phase="ready"]) { --_state: var(--_accent); }
:is([data-phase="reconnecting"], [data-phase="recovering"]) { --_state: var(--_think); }
:is([data-phase="error"], [data-phase="refused"]) { --_state: var(--_bad); }

.sign { position: relative; display: flex; align-items: center; justify-content: center; gap: 2px; flex: none; inline-size: 18px; block-size: 18px; color: var(--_state, var(--_edge)); }
.sign i { display: none; background: currentColor; }

/* Nothing going on: a hollow dot. */
.sign i:first-child { display: block; inline-size: 12px; block-size: 12px; border-radius: 50%; background: none; border: 2px solid currentColor; }
/* On its way: an arc that turns. */
:is([data-phase="connecting"], [data-phase="joining"], [data-phase="ready"], [data-phase="reconnecting"], [data-phase="recovering"]) .sign i:first-child {
  inline-size: 16px; block-size: 16px; border: 2.5px solid currentColor; border-block-start-color: transparent; animation: turn 900ms linear infinite;
}
/* Listening: a full dot that breathes. */
[data-phase="listening"] .sign i:first-child { inline-size: 10px; block-size: 10px; border: 0; background: currentColor; animation: breathe 2.2s ease-in-out infinite; }
/* Thinking: three dots in a wave. */
[data-phase="thinking"] .sign i:nth-child(-n + 3) { display: block; inline-size: 5px; block-size: 5px; border: 0; border-radius: 50%; background: currentColor; animation: wave 1.1s ease-in-out infinite; }
[data-phase="thinking"] .sign i:nth-child(2) { animation-delay: 140ms; }
[data-phase="thinking"] .sign i:nth-child(3) { animation-delay: 280ms; }
/* Speaking: bars as high as the voice is loud. */
[data-phase="speaking"] .sign i { display: block; inline-size: 3px; border: 0; border-radius: 2px; background: currentColor; block-size: calc(4px + var(--_level) * var(--_bar, 10px)); }
[data-phase="speaking"] .sign i:nth-child(2) { --_bar: 14px; }
[data-phase="speaking"] .sign i:nth-child(3) { --_bar: 12px; }
[data-phase="speaking"] .sign i:nth-child(4) { --_bar: 8px; }
/* Trouble: a square on its corner. */
:is([data-phase="error"], [data-phase="refused"]) .sign i:first-child { inline-size: 11px; block-size: 11px; border: 0; border-radius: 2px; background: currentColor; rotate: 45deg; }
/* Over: a dash. */
:is([data-phase="ended"], [data-phase="closed"], [data-phase="missing"]) .sign i:first-child { inline-size: 12px; block-size: 3px; border: 0; border-radius: 2px; background: currentColor; }

.live [data-phase="listening"] .halo { animation: breathe-wide 2.6s ease-in-out infinite; }
.live [data-phase="thinking"] .halo, .stage:is([data-phase="connecting"], [data-phase="joining"]) .halo {
  opacity: 1; box-shadow: none; border: 2.5px solid color-mix(in srgb, var(--_state) 25%, transparent); border-block-start-color: var(--_state); animation: turn 1.2s linear infinite;
}
.bubble:is([data-phase="thinking"], [data-phase="connecting"], [data-phase="joining"], [data-phase="reconnecting"], [data-phase="recovering"]) .ring { border-color: color-mix(in srgb, var(--_state) 25%, var(--_bg)); border-block-start-color: var(--_state); animation: turn 1.2s linear infinite; }
.progress i { animation: slide 1.4s ease-in-out infinite; }
.root.widget:not(.carried) .panel { animation: rise 240ms var(--_ease); }
.root.widget:not(.carried) .bubble { animation: pop 240ms var(--_ease); }
.menu, .debug { animation: rise 160ms var(--_ease); }
.switch[aria-busy="true"]::before { content: ""; position: absolute; inset: -1px; border-radius: 50%; border: 2px solid transparent; border-block-start-color: var(--_accent); animation: turn 900ms linear infinite; }

@keyframes turn { to { rotate: 1turn; } }
@keyframes breathe { 50% { box-shadow: 0 0 0 5px color-mix(in srgb, currentColor 26%, transparent); } }
@keyframes breathe-wide { 50% { scale: 1.06; } }
@keyframes wave { 30% { translate: 0 -4px; } 60% { translate: 0 0; } }
@keyframes slide { from { inset-inline-start: -40%; } to { inset-inline-start: 100%; } }
@keyframes rise { from { opacity: 0; translate: 0 8px; } }
@keyframes tip { from { opacity: 0; } }
@keyframes pop { from { opacity: 0; scale: 0.8; } }

@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation: none !important; transition: none !important; }
  .progress i { inset-inline-start: 30%; }
  [data-phase="speaking"] .sign i { block-size: 8px; }
  [data-phase="speaking"] .sign i:nth-child(2) { block-size: 14px; }
}
@media (forced-colors: active) {
  .panel, .menu, .bubble .disc, .tab, .status, .notice, .fields, .debug { border: 1px solid CanvasText; }
  .switch, .primary, .send, .composer, .bubble .ring { border: 1px solid ButtonText; }
  .switch[aria-pressed="true"] { border-width: 3px; border-color: Highlight; }
  .sign, .ring { forced-color-adjust: none; color: CanvasText; }
  .captions .line { border: 1px solid CanvasText; background: Canvas; color: CanvasText; }
  .progress i, .progress { forced-color-adjust: none; background: CanvasText; }
  .send[aria-disabled="true"] { color: GrayText; border-color: GrayText; }
  :focus-visible { outline-color: Highlight; }
}
`);
