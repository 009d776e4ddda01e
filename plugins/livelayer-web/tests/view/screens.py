"""Makes the pictures of docs/screens: every state at phone and desktop width, a few in full.

python plugins/livelayer-web/tests/view/screens.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "docs" / "screens"
PALETTE = ((192, Image.Quantize.MEDIANCUT), (64, Image.Quantize.MAXCOVERAGE))
GAP = 12  # px between the pictures of a sheet
GROUND = "#d5d9e2"

GROUPS = {
    "before": ["home", "home-portrait", "idle", "connecting", "joining", "missing", "closed"],
    "first": ["first-word", "first-word-voice-only", "greeting-live", "listening-voice-only"],
    "talking": [
        "listening",
        "thinking",
        "speaking",
        "speaking-voice-only",
        "captions-long",
        "transcript",
    ],
    "microphone": [
        "speaking",
        "listening",
        "microphone-muted",
        "microphone-waiting",
        "microphone-silenced",
        "microphone-denied",
        "microphone-busy",
    ],
    "work": ["tools", "approval", "approval-long"],
    "trouble": [
        "recovering",
        "reconnecting",
        "agent-error",
        "sound-blocked",
        "messages",
        "recovering-before",
        "recovering-typed",
    ],
    "over": ["absent", "error", "refused", "resume", "ended"],
    "sources": ["camera", "screen", "camera-denied", "fields", "watching"],
    "devices": [
        "microphone-missing",
        "microphone-in-use",
        "microphone-lost",
        "microphone-unplugged",
    ],
    "options": [
        "transforming",
        "blurred",
        "compact",
        "chromeless",
        "chromeless-idle",
        "voice-only",
    ],
}
"""States side by side; `debug` is shown in full."""
FULL = {
    "panel": "speaking-desktop-light",
    "panel-dark": "fields-desktop-dark",
    "widget": "widget-open",
    "event-log": "debug-desktop-light",
    "arabic": "widget-arabic",
    "approval-arabic": "widget-approval-arabic",
    "device-picker": "widget-devices",
    "device-picker-arabic": "widget-devices-arabic",
    "widget-resized": "widget-resized",
    "widget-contained": "widget-contained",
    "widget-compact": "widget-compact",
    "widget-home": "widget-home",
    "home-arabic": "widget-home-arabic",
    "home-low": "widget-home-low",
    "home-forced-colors": "widget-home-forced",
    "forced-colors": "widget-forced",
    "bubble-sending": "widget-bubble-sending",
}
DARK = ["home", "first-word", "listening", "speaking-voice-only", "microphone-denied", "ended"]
"""States that are shown side by side in the dark, too."""


def sheet(files: list[Path], width: int, columns: int) -> Image.Image:
    """The pictures in rows, each scaled to `width` px."""
    images = [Image.open(file).convert("RGB") for file in files]
    scaled = [one.resize((width, one.height * width // one.width), 3) for one in images]
    height = max(one.height for one in scaled)
    rows = -(-len(scaled) // columns)
    size = (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP)
    made = Image.new("RGB", size, GROUND)
    for index, one in enumerate(scaled):
        row, column = divmod(index, columns)
        made.paste(one, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    return made


def save(image: Image.Image, name: str) -> None:
    """With a small palette for gradients and the few pixels of an accent: a third of the size."""
    TARGET.mkdir(parents=True, exist_ok=True)
    colours: list[int] = []
    for count, method in PALETTE:
        palette = image.quantize(count, method).getpalette() or []
        colours += palette[: 3 * count]
    palette_image = Image.new("P", (1, 1))
    palette_image.putpalette(colours)
    small = image.quantize(palette=palette_image, dither=Image.Dither.NONE)
    small.save(TARGET / f"{name}.png", optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as raw:
        folder = Path(raw)
        command = [sys.executable, "-m", "pytest", "-q", str(HERE / "test_screens.py")]
        subprocess.run(command, check=True, env=os.environ | {"LIVELAYER_SCREENS": raw})  # noqa: S603
        for group, states in GROUPS.items():
            phones = [folder / f"{one}-phone-light.png" for one in states]
            save(sheet(phones, 234, 5), f"phone-{group}")
            desktops = [folder / f"{one}-desktop-light.png" for one in states]
            save(sheet(desktops, 420, 2), f"desktop-{group}")
        dark = [folder / f"{one}-phone-dark.png" for one in DARK]
        save(sheet(dark, 234, 6), "phone-dark")
        dark = [folder / f"{one}-desktop-dark.png" for one in DARK]
        save(sheet(dark, 420, 2), "desktop-dark")
        for name, file in FULL.items():
            save(sheet([folder / f"{file}.png"], 960, 1), name)


if __name__ == "__main__":
    main()
