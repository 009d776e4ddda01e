"""The agent's token, and what is said when the demo's libraries are missing."""

from __future__ import annotations

import subprocess
import sys

from livekit import api

from livelayer_bus.demo import demo_agent_token

SECRET = "a-secret-that-is-long-enough-for-hs256"


def test_the_token_lets_an_agent_show_its_state() -> None:
    token = demo_agent_token("key", SECRET, "lobby", "lumi")
    claims = api.TokenVerifier("key", SECRET).verify(token)
    assert (claims.identity, claims.kind) == ("lumi", "agent")
    assert claims.video is not None
    assert claims.video.room == "lobby"
    assert claims.video.room_join
    assert claims.video.agent
    assert claims.video.can_update_own_metadata


def test_a_missing_livekit_agents_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['livekit.agents'] = None\n"
        "try:\n    import livelayer_bus.demo\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run(  # noqa: S603 - a fixed program
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("DemoDependencyError")
    assert "pip install 'livelayer-bus[demo]'" in done.stdout
