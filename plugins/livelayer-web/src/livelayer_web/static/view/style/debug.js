// @ts-check
/** The event log, laid over the panel. */

import { sheet } from "./sheet.js";

export const debug = sheet(`
.debug {
  position: absolute;
  z-index: 4;
  inset: auto 0 0;
  block-size: min(100%, 380px);
  display: flex;
  flex-direction: column;
  gap: 6px;
  padding: 6px 10px 10px;
  background: var(--_bg);
  border-start-start-radius: 18px;
  border-start-end-radius: 18px;
  box-shadow: 0 -10px 40px -10px rgb(12 15 28 / 0.35), inset 0 1px 0 var(--_line);
}
@container avatar (inline-size >= 720px) {
  .debug { inset: 0 0 0 auto; inline-size: calc((100% - 16px - 2 * var(--_gap)) / 2.6 + 16px); block-size: 100%; padding-block-start: 10px; border-radius: 0; border-inline-start: 1px solid var(--_line); }
}
@container avatar (inline-size >= 1000px) { .debug { inline-size: calc(380px + 16px); } }
.debug .heading { padding-inline-start: 4px; }
.debug .count { flex: 1 1 auto; font-size: 0.8em; color: var(--_muted); font-variant-numeric: tabular-nums; }
.filter {
  appearance: none;
  flex: 1 1 auto;
  min-inline-size: 0;
  block-size: var(--_target);
  padding-inline: 14px;
  border: 1px solid var(--_edge);
  border-radius: 22px;
  background: var(--_bg);
  font-size: max(16px, 1em);
}
.filter::placeholder { color: var(--_muted); opacity: 1; }
.events {
  flex: 1 1 auto;
  min-block-size: 0;
  overflow: auto;
  overscroll-behavior: contain;
  direction: ltr;
  text-align: left;
  border-radius: 10px;
  background: var(--_soft);
  padding: 6px;
  font: 12px/1.5 ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace;
  scrollbar-width: thin;
  scrollbar-color: var(--_edge) transparent;
}
.events li { display: grid; grid-template-columns: auto auto 1fr; column-gap: 8px; padding: 3px 4px; border-block-end: 1px solid var(--_line); }
.events .sequence, .events .time { color: var(--_muted); font-variant-numeric: tabular-nums; }
.events .kind { font-weight: 600; color: var(--_text); overflow-wrap: anywhere; }
.events .body { grid-column: 1 / -1; font: inherit; color: var(--_muted); overflow-wrap: anywhere; white-space: pre-wrap; }
`);
