// @ts-check
/** Buttons, their tips, and the menus they open. */

import { sheet } from "./sheet.js";

export const controls = sheet(`
.controls { display: flex; align-items: center; gap: 6px; padding-inline: 4px; }
.controls .end { margin-inline-start: auto; }
.switch {
  position: relative;
  display: grid;
  place-items: center;
  flex: none;
  inline-size: var(--_target);
  block-size: var(--_target);
  border-radius: 50%;
  color: var(--_text);
  background: var(--_soft);
  transition: background-color 140ms, color 140ms, scale 140ms var(--_ease);
}
.switch:hover { background: var(--_softer); }
.switch:active { scale: 0.95; }
.switch[aria-pressed="true"] { color: var(--_on-accent); background: var(--_accent); }
.switch.speaker[aria-pressed="true"] { color: var(--_warn-text); background: var(--_warn-bg); }
.switch[data-source="denied"], .switch[data-source="unavailable"] { color: var(--_bad-text); background: var(--_bad-bg); }
.switch[data-source="busy"] { color: var(--_warn-text); background: var(--_warn-bg); }
.switch[data-source="on"][aria-pressed="false"] { color: var(--_bad-text); background: var(--_bad-bg); }
.switch.end { color: #ffffff; background: var(--_end); }
.switch.end:hover { background: color-mix(in oklab, var(--_end) 86%, #000); }
.own-level {
  position: absolute;
  inset: 0;
  border-radius: 50%;
  pointer-events: none;
  box-shadow: 0 0 0 calc(var(--_own, 0) * 6px) color-mix(in srgb, var(--_accent) 34%, transparent);
}
.head .switch { background: var(--_glass); backdrop-filter: blur(14px) saturate(1.4); }
.head .switch:hover { background: var(--_bg); }

/* A name for the eye, where the button only has a picture. */
@media (hover: hover) {
  .switch[data-tip]:hover::after, .switch[data-tip]:focus-visible::after {
    content: attr(data-tip);
    position: absolute;
    z-index: 6;
    inset: auto auto calc(100% + 8px) 50%;
    translate: -50% 0;
    inline-size: max-content;
    max-inline-size: 180px;
    padding: 4px 10px;
    border-radius: 8px;
    font-size: 12px;
    line-height: 1.4;
    color: var(--_bg);
    background: var(--_text);
    pointer-events: none;
    animation: tip 120ms 450ms backwards;
  }
  .switch[data-tip]:dir(rtl)::after { translate: 50% 0; }
  .head .switch[data-tip]::after, .debug .switch[data-tip]::after { inset-block: calc(100% + 8px) auto !important; }
  .controls .switch:first-child::after { inset-inline-start: 0 !important; translate: 0 0 !important; }
  .switch.end::after, .head .switch::after, .debug .switch::after { inset-inline: auto 0 !important; translate: 0 0 !important; }
  .switch[aria-expanded="true"]::after { display: none; }
}

.holder { position: relative; }
.menu {
  position: absolute;
  z-index: 5;
  inset: calc(100% + 8px) 0 auto auto;
  inline-size: max-content;
  min-inline-size: 208px;
  max-inline-size: min(300px, 100cqi - 40px);
  max-block-size: 320px;
  overflow: auto;
  padding: 6px;
  border-radius: 16px;
  background: var(--_bg);
  box-shadow: var(--_shadow), inset 0 0 0 1px var(--_line);
}
.holder.team .menu { inset-inline-end: calc(-1 * (var(--_target) + 6px)); }
.item {
  display: flex;
  align-items: center;
  gap: 12px;
  inline-size: 100%;
  min-block-size: var(--_target);
  padding: 6px 12px 6px 10px;
  border-radius: 10px;
  text-align: start;
}
.item:hover { background: var(--_soft); }
.item:focus-visible { outline-offset: -2px; box-shadow: none; }
.item .words { display: grid; flex: 1 1 auto; min-inline-size: 0; line-height: 1.3; }
.item .name { font-weight: 600; }
.item .role { font-size: 0.85em; color: var(--_muted); }
.item .icon { color: var(--_muted); }
.item .mark { display: grid; flex: none; }
.item .mark .icon { inline-size: 18px; block-size: 18px; color: var(--_accent); stroke-width: 2.2; }
.item:not([aria-pressed="true"], [aria-current="true"]) .mark { visibility: hidden; }
.mini-face {
  display: grid;
  place-items: center;
  flex: none;
  overflow: hidden;
  inline-size: 36px;
  block-size: 36px;
  border-radius: 50%;
  font-weight: 600;
  color: var(--_accent);
  background: color-mix(in srgb, var(--_accent) 14%, var(--_bg));
}
.mini-face > img { grid-area: 1 / 1; inline-size: 100%; block-size: 100%; object-fit: cover; }
.mini-face { grid-template: 1fr / 1fr; }

.small {
  display: grid;
  place-items: center;
  flex: none;
  inline-size: var(--_target);
  block-size: var(--_target);
  border-radius: 50%;
}
.small:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
.small .icon { inline-size: 18px; block-size: 18px; }
.text-button {
  flex: none;
  min-block-size: var(--_target);
  padding-inline: 12px;
  border-radius: 12px;
  font-weight: 600;
  text-decoration: underline;
  text-underline-offset: 3px;
  text-decoration-thickness: 1px;
}
.text-button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
@container avatar (inline-size < 330px) {
  .controls { gap: 2px; padding-inline: 0; }
}
`);
