"""A recording as one HTML file: picture, transcript and events in step, without a server."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Final

import msgspec

from livelayer_bus import TranscriptUpdated

from .captions import Captions
from .recording import Recording

_MARK: Final = re.compile("@[A-Z]+@")
_TYPES: Final = {".mp4": "video/mp4", ".mkv": "video/webm"}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; media-src data:; style-src 'unsafe-inline';
 script-src 'unsafe-inline'">
<title>@TITLE@</title>
<style>
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { margin: 0; padding: 1rem; display: grid; gap: 1rem; max-width: 80rem; margin-inline: auto; }
header p { margin: 0; opacity: .75; }
h1 { font-size: 1.25rem; margin: 0; }
main { display: grid; gap: 1rem; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
@media (max-width: 50rem) { main { grid-template-columns: minmax(0, 1fr); } }
video { width: 100%; background: #000; border-radius: .5rem; }
ol { list-style: none; margin: 0; padding: 0; max-height: 40vh; overflow: auto; }
#events { font: .8rem/1.5 ui-monospace, monospace; grid-column: 1 / -1; max-height: 30vh; }
li button { all: unset; box-sizing: border-box; width: 100%; cursor: pointer; padding: .25rem .5rem;
  border-radius: .25rem; overflow-wrap: anywhere; }
li button:hover, li button:focus-visible {
  background: color-mix(in srgb, CanvasText 12%, transparent); }
li.now button { background: color-mix(in srgb, Highlight 35%, transparent); }
time { opacity: .7; margin-inline-end: .5rem; font-variant-numeric: tabular-nums; }
h2 { font-size: 1rem; margin: 0 0 .25rem; }
</style>
</head>
<body>
<header><h1>@TITLE@</h1><p>@ABOUT@</p></header>
<main>
<div>@MEDIA@</div>
<section aria-labelledby="said"><h2 id="said">Transcript</h2><ol id="lines"></ol></section>
<section style="grid-column: 1 / -1" aria-labelledby="happened"><h2 id="happened">Events</h2>
<ol id="events"></ol></section>
</main>
<script type="application/json" id="data">@DATA@</script>
<script>
const { lines, events, starts } = JSON.parse(document.getElementById("data").textContent);
const video = document.querySelector("video");
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
function fill(list, items) {
  return items.map(({ at, text }) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const time = document.createElement("time");
    time.textContent = clock(at);
    button.append(time, text);
    button.addEventListener("click", () => {
      if (video) video.currentTime = Math.max(0, at - starts);
    });
    item.append(button);
    list.append(item);
    return { at, item };
  });
}
const rows = [
  fill(document.getElementById("lines"), lines),
  fill(document.getElementById("events"), events),
];
video?.addEventListener("timeupdate", () => {
  const now = video.currentTime + starts + 0.05;
  for (const list of rows) {
    let last = null;
    for (const row of list) if (row.at <= now) last = row;
    for (const row of list) row.item.classList.toggle("now", row === last);
    if (!last) continue;
    const box = last.item.parentNode;
    box.scrollTop = last.item.offsetTop - box.offsetTop - 40;
  }
});
</script>
</body>
</html>
"""


def html_page(recording: Recording) -> str:
    """The page; it holds the media, and loads nothing.

    Raises:
        OSError: the media file cannot be read.
    """
    manifest = recording.manifest
    captions = Captions()
    events: list[dict[str, object]] = []
    for entry in recording.first.transcript:
        captions.hear(entry, 0.0)
    for moment in recording.moments:
        if isinstance(moment.event, TranscriptUpdated):
            captions.hear(moment.event.entry, moment.seconds)
            continue
        text = msgspec.json.encode(moment.event).decode()
        kind = type(moment.event).__name__
        fields = text.removeprefix(f'{{"event":"{kind}"').removeprefix(",").removesuffix("}")
        events.append({"at": moment.seconds, "text": f"{kind} {fields}"[:400]})
    lines = [
        {"at": cue.start, "text": f"{cue.speaker}: {cue.text}"}
        for cue in captions.finish(recording.seconds + 1)
    ]
    data = {"lines": lines, "events": events, "starts": manifest.media_start}
    name = manifest.agent_config.name if manifest.agent_config else manifest.agent_id
    about = f"{manifest.started}, {recording.seconds:.1f} s, session {manifest.session_id}"
    parts = {
        "@TITLE@": html.escape(f"Recording of {name}"),
        "@ABOUT@": html.escape(about),
        "@MEDIA@": _media(recording),
        # No tag of the page can end inside the data.
        "@DATA@": msgspec.json.encode(data).decode().replace("<", "\\u003c"),
    }
    # In one pass: what is put in may look like a mark.
    return _MARK.sub(lambda found: parts[found[0]], _PAGE)


def write_html(recording: Recording, path: Path) -> None:
    """Write the page into a file.

    Raises:
        OSError: it cannot be written, or the media file not be read.
    """
    path.write_text(html_page(recording), "utf-8")


def _media(recording: Recording) -> str:
    path = recording.media
    if path is None:
        return "<p>This recording has neither picture nor sound.</p>"
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<video controls playsinline src="data:{_TYPES[path.suffix]};base64,{data}"></video>'
