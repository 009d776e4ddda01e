"""The demo against a real LiveKit server and against the embedded one: the same events."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from livelayer_bus import events
from livelayer_bus.jsonl import EventLine
from livelayer_bus.surfaces.jsonl import read_jsonl

Livelayer = Callable[..., "subprocess.CompletedProcess[str]"]
NEEDED = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")

pytestmark = [pytest.mark.livekit, pytest.mark.slow]


def by_source(path: Path) -> dict[str, list[str]]:
    """What happened, in order, for each way that it came.

    Attributes, data packets, text streams and media travel independently: across them there is no
    order, on any server.
    """
    found: dict[str, list[str]] = {"signalling": [], "data": [], "speech": [], "surfaces": []}
    tracks: set[str] = set()
    for line in read_jsonl(path):
        if not isinstance(line, EventLine):
            continue
        match line.event:
            case events.AgentStateChanged(state=state):
                found["signalling"].append(state)
            case events.DataReceived(type=str(kind)) if kind != "agent_state":
                found["data"].append(kind)
            case events.TranscriptUpdated(entry=entry) if entry.final:
                found["speech"].append(entry.text)
            case events.SurfaceMounted(key=key) | events.SurfaceUnmounted(key=key):
                found["surfaces"].append(key)
            case events.TrackChanged(kind=media, available=True):
                tracks.add(media)
            case _:
                pass
    # Two sources report the agent's state, in either order.
    states = found["signalling"]
    found["signalling"] = [
        state for number, state in enumerate(states) if not number or states[number - 1] != state
    ]
    return found | {"tracks": sorted(tracks)}


@pytest.mark.skipif(
    not all(name in os.environ for name in NEEDED),
    reason="need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET",
)
def test_both_servers_give_the_same_events_in_the_same_order(
    livelayer: Livelayer, tmp_path: Path
) -> None:
    embedded = livelayer("demo", "--seconds", "30", "-o", "embedded.jsonl")
    assert (embedded.returncode, embedded.stderr) == (0, "")
    access = {name: os.environ[name] for name in NEEDED[1:]}
    url = os.environ["LIVEKIT_URL"]
    real = livelayer("demo", "--seconds", "30", "--url", url, "-o", "real.jsonl", **access)
    assert (real.returncode, real.stderr) == (0, "")
    assert by_source(tmp_path / "embedded.jsonl") == by_source(tmp_path / "real.jsonl")
