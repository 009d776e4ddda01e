// @ts-check
/** What is said and typed: transcript, notices, fields, messages on their way, the composer. */

import { sheet } from "./sheet.js";

export const talk = sheet(`
.transcript {
  display: none;
  flex-direction: column;
  flex: 1 1 auto;
  min-block-size: 0;
  overflow-y: auto;
  overscroll-behavior: contain;
  padding: 8px 10px;
  border-radius: 12px;
  scrollbar-width: thin;
  scrollbar-color: var(--_edge) transparent;
}
.transcript.chosen { display: flex; }
.panel:not(.live) .transcript { display: none; }
.transcript:focus-visible { outline-offset: -2px; box-shadow: none; }
.lines { display: flex; flex-direction: column; gap: 14px; margin-block-start: auto; }
.lines li { display: grid; gap: 3px; max-inline-size: 88%; }
.lines .who { font-size: 0.8em; font-weight: 600; color: var(--_muted); }
.lines .words { overflow-wrap: anywhere; white-space: pre-wrap; }
.lines .user { justify-self: end; align-self: end; justify-items: end; }
.lines .user .words { padding: 8px 14px; border-radius: 18px; border-end-end-radius: 6px; background: var(--_soft); }
.lines .partial .words { color: var(--_muted); }
.empty { margin: auto; color: var(--_muted); }

.notices { display: grid; gap: 6px; }
.notice {
  display: flex;
  align-items: center;
  gap: 10px;
  min-block-size: var(--_target);
  padding-inline: 12px 4px;
  border-radius: 14px;
  font-size: 0.93em;
  line-height: 1.35;
}
.notice .text { flex: 1 1 auto; padding-block: 8px; overflow-wrap: anywhere; }
.notice .icon { inline-size: 20px; block-size: 20px; }
.notice[data-tone="info"] { color: var(--_info-text); background: var(--_info-bg); }
.notice[data-tone="warn"] { color: var(--_warn-text); background: var(--_warn-bg); }
.notice[data-tone="error"] { color: var(--_bad-text); background: var(--_bad-bg); }
.notice :focus-visible { outline-color: currentColor; box-shadow: none; outline-offset: -3px; }

.fields {
  max-block-size: 168px;
  overflow-y: auto;
  flex: none;
  padding: 10px 14px 12px;
  border-radius: 14px;
  background: var(--_soft);
}
.row { display: flex; align-items: center; gap: 8px; }
.heading { font-size: 0.87em; font-weight: 600; }
.fields .heading { color: var(--_muted); }
.done-mark { margin-inline-start: auto; padding: 1px 10px; border-radius: 10px; font-size: 0.8em; font-weight: 600; color: var(--_good); background: color-mix(in srgb, var(--_good) 12%, var(--_bg)); }
.known { display: grid; gap: 2px; margin-block-start: 4px; }
.known > div { display: grid; grid-template-columns: minmax(72px, 34%) 1fr; gap: 10px; padding-block: 3px; }
.known dt { color: var(--_muted); font-size: 0.93em; overflow-wrap: anywhere; }
.known dd { font-weight: 550; overflow-wrap: anywhere; }
.known .blank dd { font-weight: 400; color: var(--_muted); font-style: italic; }
.summary { margin-block-start: 6px; padding-block-start: 8px; border-block-start: 1px solid var(--_line); font-size: 0.93em; }

.writing { display: grid; gap: 6px; }
.outbox { display: grid; gap: 4px; max-block-size: 148px; overflow-y: auto; }
.outbox li { display: flex; align-items: center; gap: 2px; padding-inline-start: 14px; min-block-size: var(--_target); border-radius: 14px; background: var(--_soft); }
.outbox .what { display: grid; flex: 1 1 auto; min-inline-size: 0; padding-block: 6px; line-height: 1.3; }
.outbox .words { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-inline-end: 12px; }
.outbox .word { font-size: 0.8em; color: var(--_muted); }
.outbox .failed { color: var(--_bad-text); background: var(--_bad-bg); }
.outbox .failed .word { color: inherit; }
.composer {
  display: flex;
  align-items: end;
  gap: 4px;
  padding: 3px;
  border-radius: 26px;
  background: var(--_bg);
  box-shadow: inset 0 0 0 1px var(--_edge);
}
.composer:focus-within { box-shadow: inset 0 0 0 2px var(--_accent); }
.composer.off { background: var(--_soft); box-shadow: inset 0 0 0 1px var(--_line); }
.composer textarea {
  flex: 1 1 auto;
  min-inline-size: 0;
  min-block-size: 44px;
  max-block-size: 130px;
  padding: 11px 6px 11px 16px;
  border: 0;
  background: none;
  resize: none;
  line-height: 1.45;
  field-sizing: content;
  font-size: max(16px, 1em);
  scrollbar-width: thin;
}
.composer textarea:dir(rtl) { padding: 11px 16px 11px 6px; }
.composer textarea::placeholder { color: var(--_muted); opacity: 1; }
.composer textarea:focus-visible { outline: none; box-shadow: none; }
.send {
  display: grid;
  place-items: center;
  flex: none;
  inline-size: var(--_target);
  block-size: var(--_target);
  border-radius: 50%;
  color: var(--_on-accent);
  background: var(--_accent);
  transition: background-color 140ms, color 140ms;
}
.send[aria-disabled="true"] { color: var(--_muted); background: var(--_soft); cursor: default; }
.limit { padding-inline: 16px; font-size: 0.8em; color: var(--_muted); }
.limit.over { color: var(--_bad); font-weight: 600; }
`);
