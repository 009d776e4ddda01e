// @ts-check
/** The panel and where it stands: in the page, or floating at a side of the window. */

import { sheet } from "./sheet.js";

export const frame = sheet(`
.root { container: avatar / inline-size; }
.panel {
  position: relative;
  display: grid;
  grid-template: minmax(0, 1fr) auto / minmax(0, 1fr);
  block-size: 100%;
  min-block-size: 300px;
  overflow: hidden;
  isolation: isolate;
  background: var(--_bg);
  border-radius: var(--_radius);
  box-shadow: inset 0 0 0 1px var(--_line);
  padding: var(--_gap);
  row-gap: var(--_gap);
}
.side {
  display: flex;
  flex-direction: column;
  gap: var(--_gap);
  min-block-size: 0;
  min-inline-size: 0;
}
.panel.reading { grid-template-rows: minmax(132px, 34%) minmax(0, 1fr); }
.panel:not(.live):not(.writing) { grid-template-rows: minmax(0, 1fr); row-gap: 0; }

.head {
  position: absolute;
  z-index: 3;
  inset: calc(var(--_gap) + 8px) calc(var(--_gap) + 8px) auto;
  display: flex;
  align-items: start;
  gap: 6px;
  pointer-events: none;
}
.head > * { pointer-events: auto; }
.head { justify-content: end; }
.head .status { margin-inline-end: auto; min-inline-size: 0; }

@container avatar (inline-size >= 720px) {
  .panel { grid-template: minmax(0, 1fr) / minmax(0, 1.6fr) minmax(300px, 1fr); column-gap: 16px; }
  .panel.reading { grid-template-rows: minmax(0, 1fr); }
  .panel:not(.live):not(.writing) { grid-template-columns: minmax(0, 1fr); }
  .head { inset-inline-end: auto; inline-size: calc((100% - 16px - 2 * var(--_gap)) * 1.6 / 2.6 - 16px); }
  .panel:not(.live):not(.writing) .head { inline-size: calc(100% - 2 * var(--_gap) - 16px); }
  .side { padding: 8px 8px 4px 0; justify-content: end; }
  .panel .transcript { display: flex; flex: 1 1 auto; }
  .controls .transcript-switch { display: none; }
}
@container avatar (inline-size >= 1000px) {
  .panel { grid-template-columns: minmax(0, 1fr) 380px; }
  .head { inline-size: calc(100% - 380px - 32px - 2 * var(--_gap)); }
}

/* Floating ------------------------------------------------------------------------------- */
.root.widget {
  --_m: 16px;
  --_at: 1;
  --_h: var(--_panel-h);
  --_panel-h: min(var(--ll-widget-height, 620px), 100dvh - 2 * var(--_m));
  position: fixed;
  z-index: var(--ll-z-index, 2147483000);
  inset-inline-end: var(--_m);
  inset-block-start: calc(var(--_m) + (100dvh - 2 * var(--_m) - var(--_h)) * var(--_at));
  inline-size: min(var(--ll-widget-width, 384px), 100vw - 2 * var(--_m));
  block-size: var(--_h);
}
.root.widget[data-side="start"] { inset-inline: var(--_m) auto; }
.root.widget .panel { box-shadow: var(--_shadow), inset 0 0 0 1px var(--_line); }
.root.widget .stage { cursor: grab; touch-action: none; }
.root.widget.carried { user-select: none; }
.root.widget.carried .stage, .root.widget.carried .bubble { cursor: grabbing; }
.root.widget[data-display="minimized"] { --_h: 76px; inline-size: 76px; }
.root.widget[data-display="hidden"] { --_h: 56px; inline-size: 44px; inset-inline-end: 0; }
.root.widget[data-display="hidden"][data-side="start"] { inset-inline: 0 auto; }
@media (max-width: 480px) { .root.widget { --_m: 10px; } }
@media (max-height: 420px) { .root.widget { --_m: 8px; } .panel { min-block-size: 0; } }

/* Minimised and hidden ------------------------------------------------------------------- */
.bubble {
  position: relative;
  display: block;
  inline-size: 76px;
  block-size: 76px;
  border-radius: 50%;
  touch-action: none;
  cursor: grab;
}
.bubble .disc {
  position: absolute;
  inset: 4px;
  display: grid;
  place-items: center;
  overflow: hidden;
  border-radius: 50%;
  background: var(--_backdrop);
  box-shadow: var(--_shadow);
}
.bubble .disc > * { grid-area: 1 / 1; }
.bubble .live, .bubble .portrait { inline-size: 100%; block-size: 100%; object-fit: cover; object-position: 50% 30%; }
.bubble .live { opacity: 0; }
.bubble[data-painted] .live { opacity: 1; }
.bubble .letter { font-size: 28px; font-weight: 600; color: var(--_accent); }
.bubble .ring {
  position: absolute;
  inset: 0;
  border-radius: 50%;
  border: 3px solid var(--_state, var(--_edge));
  box-shadow: inset 0 0 0 2px var(--_bg);
}
.bubble[data-phase="speaking"] .ring {
  box-shadow: inset 0 0 0 2px var(--_bg), 0 0 0 calc(var(--_level) * 6px) color-mix(in srgb, var(--_accent) 35%, transparent);
}
.bubble .chip {
  position: absolute;
  inset: auto -2px -2px auto;
  display: grid;
  place-items: center;
  inline-size: 28px;
  block-size: 28px;
  border-radius: 50%;
  background: var(--_bg);
  box-shadow: 0 0 0 1px var(--_line), 0 2px 6px rgb(12 15 28 / 0.2);
}
.bubble[data-trouble] .chip { background: var(--_warn-bg); }
.bubble:focus-visible { outline-offset: 3px; }
.tab {
  display: grid;
  place-items: center;
  inline-size: 44px;
  block-size: 56px;
  color: var(--_accent);
  background: var(--_bg);
  border-start-start-radius: 14px;
  border-end-start-radius: 14px;
  box-shadow: var(--_shadow), inset 0 0 0 1px var(--_line);
}
.root[data-side="start"] .tab { border-radius: 0; border-start-end-radius: 14px; border-end-end-radius: 14px; }
`);
