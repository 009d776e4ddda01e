// @ts-check
/** The picture and everything that lies over it. */

import { sheet } from "./sheet.js";

export const stage = sheet(`
.root {
  --_disc: light-dark(#ffffff, #272c3c);
  --_backdrop:
    radial-gradient(120% 90% at 15% 0%, color-mix(in oklab, var(--_accent) 26%, transparent), transparent 60%),
    radial-gradient(110% 80% at 100% 100%, color-mix(in oklab, light-dark(#12a594, #0d6f66) 24%, transparent), transparent 62%),
    linear-gradient(180deg, light-dark(#f3f5fd, #1b1f2e), light-dark(#e9edf7, #14171f));
}
.stage {
  position: relative;
  display: grid;
  overflow: hidden;
  min-block-size: 0;
  border-radius: var(--_inner);
  background: var(--_backdrop);
}
.stage > * { grid-area: 1 / 1; min-inline-size: 0; min-block-size: 0; }
.stage .live, .stage .loop {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  object-fit: cover;
  object-position: 50% 25%;
}
.stage > .live { opacity: 0; transition: opacity 260ms; background: #0b0d12; }
.stage[data-picture="live"] > .live { opacity: 1; }
.stage[data-phase="recovering"] > .live, .stage[data-phase="reconnecting"] > .live { filter: saturate(0.35) brightness(0.82); }

.face {
  position: relative;
  z-index: 1;
  display: grid;
  place-items: center;
  inline-size: clamp(84px, 34cqi, 148px);
  aspect-ratio: 1;
  border-radius: 50%;
  background: var(--_disc);
  box-shadow: 0 0 0 6px color-mix(in srgb, var(--_bg) 55%, transparent), 0 14px 40px -12px rgb(20 26 60 / 0.35);
}
.middle {
  position: relative;
  z-index: 2;
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  gap: clamp(14px, 5cqi, 24px);
  padding: 16px 20px;
}
.live .middle { padding-block-end: 22%; pointer-events: none; }
.reading .middle { padding-block: 0; }
.reading .face { inline-size: 76px; }
[data-picture="live"] .face, .loop:not([hidden]) ~ .middle .face { display: none; }
.face > * { grid-area: 1 / 1; }
.face .letter { font-size: clamp(36px, 13cqi, 58px); font-weight: 600; letter-spacing: -0.02em; color: var(--_accent); }
.face .portrait { inline-size: 100%; block-size: 100%; border-radius: 50%; object-fit: cover; }
.halo {
  position: absolute;
  inset: -6px;
  border-radius: 50%;
  box-shadow: 0 0 0 2px color-mix(in srgb, var(--_state, var(--_accent)) 70%, transparent);
  opacity: 0;
}
.live .halo { opacity: 1; }
[data-phase="speaking"] .halo {
  box-shadow:
    0 0 0 2px var(--_accent),
    0 0 0 calc(4px + var(--_level) * 26px) color-mix(in srgb, var(--_accent) 22%, transparent),
    0 0 0 calc(8px + var(--_level) * 54px) color-mix(in srgb, var(--_accent) 10%, transparent);
}
.panel:not(.live) .loop:not([hidden]) ~ .middle {
  justify-content: end;
  padding: 96px 20px 28px;
  background: linear-gradient(transparent 40%, var(--_glass) 68%);
}

.aura { position: relative; pointer-events: none; border-radius: inherit; z-index: 1; }
[data-picture="live"] .aura { background: linear-gradient(180deg, transparent 62%, rgb(8 10 16 / 0.42)); }
[data-picture="live"][data-phase="speaking"] .aura { box-shadow: inset 0 0 0 calc(1px + var(--_level) * 3px) color-mix(in srgb, var(--_accent) 85%, transparent); }
[data-picture="live"][data-phase="listening"] .aura { box-shadow: inset 0 0 0 2px color-mix(in srgb, var(--_good) 80%, transparent); }

.status {
  display: flex;
  align-items: center;
  gap: 10px;
  min-block-size: var(--_target);
  max-inline-size: 100%;
  padding-inline: 12px 16px;
  border-radius: 22px;
  background: var(--_glass);
  backdrop-filter: blur(14px) saturate(1.4);
}
.status .words { display: grid; min-inline-size: 0; line-height: 1.2; }
.status .name { font-weight: 600; font-size: 0.93em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.status .word { font-size: 0.8em; color: var(--_muted); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

.curtain {
  display: flex;
  flex-direction: column;
  align-items: center;
  gap: 8px;
  text-align: center;
}
.panel:not(.live) .status { display: none; }
.curtain .title { font-size: 1.5em; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; text-wrap: balance; }
.curtain .hint { max-inline-size: 34ch; color: var(--_muted); text-wrap: pretty; overflow-wrap: anywhere; }
.curtain .primary { margin-block-start: 12px; }
/* On the rim of the face, as a mark on it. */
.curtain .badge {
  z-index: 2;
  display: grid;
  place-items: center;
  inline-size: 44px;
  block-size: 44px;
  margin: calc(-1 * clamp(14px, 5cqi, 24px) - 40px) 0 0 clamp(62px, 25cqi, 108px);
  border-radius: 50%;
  color: #ffffff;
  background: var(--_end);
  box-shadow: 0 0 0 4px color-mix(in srgb, var(--_bg) 85%, transparent);
}
.curtain .badge:dir(rtl) { margin-inline: clamp(62px, 25cqi, 108px) 0; }
.loop:not([hidden]) ~ .middle .badge { margin: 0; }
:is([data-phase="closed"], [data-phase="missing"]) .badge { color: var(--_bg); background: var(--_muted); }
:is([data-phase="ended"], [data-phase="closed"], [data-phase="missing"], [data-phase="refused"]) .face .letter { color: var(--_muted); }
.primary {
  min-block-size: 48px;
  max-inline-size: 100%;
  padding: 10px 26px;
  border-radius: 24px;
  font-weight: 600;
  color: var(--_on-accent);
  background: var(--_accent);
  box-shadow: 0 8px 20px -8px color-mix(in srgb, var(--_accent) 60%, transparent);
  transition: background-color 140ms, scale 140ms var(--_ease);
}
.primary:hover { background: color-mix(in oklab, var(--_accent) 88%, var(--_text)); }
.primary:active { scale: 0.98; }
.primary.quiet { color: var(--_text); background: var(--_glass); box-shadow: inset 0 0 0 1px var(--_edge); }
.progress { position: relative; inline-size: 120px; block-size: 3px; margin-block: 8px 2px; border-radius: 2px; overflow: hidden; background: color-mix(in srgb, var(--_accent) 22%, transparent); }
.progress i { position: absolute; inset-block: 0; inline-size: 40%; border-radius: 2px; background: var(--_accent); }

.captions {
  z-index: 2;
  align-self: end;
  justify-self: center;
  display: flex;
  flex-direction: column;
  align-items: center;
  gap: 6px;
  max-inline-size: min(100%, 46em);
  padding: 12px;
  pointer-events: none;
}
.captions.answered { flex-direction: column; }
.captions:not(.answered) { flex-direction: column-reverse; }
.captions .line {
  padding: 7px 14px;
  border-radius: 14px;
  text-align: center;
  text-wrap: pretty;
  overflow-wrap: anywhere;
  color: #ffffff;
  background: rgb(10 12 18 / 0.8);
}
.captions .user { font-size: 0.87em; color: #d5dae5; padding-block: 5px; }
/* Whole lines only: what is cut off is cut off between two of them. */
.captions span { display: block; max-block-size: 3lh; overflow: hidden; }
.captions .user span { max-block-size: 2lh; }
.reading .captions { display: none; }
@media (max-height: 480px) {
  .captions .user:not(:only-child) { display: none; }
  .captions .line span { max-block-size: 2lh; }
}
@container avatar (inline-size >= 720px) { .reading .captions { display: flex; } .captions .line { font-size: 1.1em; } }

.renewing { z-index: 2; align-self: start; justify-self: center; margin-block-start: 68px; padding: 5px 12px; border-radius: 16px; font-size: 0.8em; color: #fff; background: rgb(10 12 18 / 0.78); }
.hear {
  z-index: 2;
  align-self: start;
  justify-self: center;
  margin-block-start: 72px;
  display: flex;
  align-items: center;
  gap: 10px;
  min-block-size: 52px;
  padding: 8px 22px 8px 16px;
  border-radius: 26px;
  font-weight: 600;
  color: var(--_on-accent);
  background: var(--_accent);
  box-shadow: 0 10px 30px -6px rgb(8 10 20 / 0.5);
}
.previews { z-index: 2; position: absolute; inset: auto 12px 12px auto; display: flex; flex-direction: column; gap: 8px; pointer-events: none; }
.own-box { overflow: hidden; inline-size: clamp(72px, 22cqi, 132px); aspect-ratio: 4 / 3; border-radius: 12px; background: #0b0d12; box-shadow: 0 0 0 2px var(--_bg), 0 6px 18px rgb(8 10 20 / 0.35); }
.own-box .own { inline-size: 100%; block-size: 100%; object-fit: cover; display: block; }
.own-box.camera .own { scale: -1 1; }
.own-box.screen { aspect-ratio: 16 / 10; }
.stage:has(.own-box:not([hidden])) .captions { padding-inline-end: clamp(92px, 26cqi, 152px); }
`);
