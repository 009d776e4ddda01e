"""A replay in a LiveKit room: a session that joins it gets what the recorded session had."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import numpy as np
import pytest
from livekit import api
from livelayer_embedded import EmbeddedServer
from livelayer_recorder import Recording, ReplayAgent, ReplayRoom
from livelayer_recorder.commands import agent_token
from livelayer_recorder.media_reader import MediaReader

from livelayer_bus import (
    AgentStateChanged,
    AudioFrame,
    DataReceived,
    LiteralToken,
    Session,
    TranscriptUpdated,
    VideoFrame,
)
from livelayer_bus.errors import RoomRefusedError
from livelayer_bus.testing import PATIENCE

pytestmark = pytest.mark.anyio

WELCOME = Path(__file__).parent.parent / "recordings" / "welcome"
ROOM = "replayed"
PROGRAM = [sys.executable, "-c", "from livelayer_bus.cli import main; main()"]
ALIKE = 4.0  # of 255: two pictures of which one was sent


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.livekit)])
async def keys(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[str, str, str]]:
    """A server's address, key and secret."""
    if request.param == "embedded":
        async with EmbeddedServer(port=0) as server:
            yield server.url, server.key, server.secret
        return
    names = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
    url, key, secret = (os.environ.get(name, "") for name in names)
    if not (url and key and secret):
        pytest.skip("need LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET")
    yield url, key, secret


def user_token(key: str, secret: str, room: str) -> str:
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken(key, secret).with_identity("ada").with_grants(grants).to_jwt()


def recorded_pictures() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    recording = Recording(WELCOME)
    assert recording.media is not None
    reader = MediaReader(recording.media, 0.0)
    frames = [frame for _, frame in reader.read(1e9) if isinstance(frame, VideoFrame)]
    reader.close()
    return [frame.to_ndarray("gray") for frame in frames]


def is_recorded(picture: VideoFrame) -> bool:
    shown = picture.to_ndarray("gray").astype(np.int16)
    return any(np.abs(shown - one).mean() < ALIKE for one in recorded_pictures())


async def test_a_session_in_the_room_has_the_recorded_agent(keys: tuple[str, str, str]) -> None:
    url, key, secret = keys
    room = f"{ROOM}-{os.getpid()}"
    recording = Recording(WELCOME)
    expected = {
        (entry.role, entry.text)
        for entry in recording.state_at(recording.seconds).transcript
        if entry.final
    }
    packets = [
        moment.event.data
        for moment in recording.moments
        if isinstance(moment.event, DataReceived) and moment.event.from_agent
    ]
    agent = ReplayAgent(ReplayRoom(WELCOME))
    received: list[bytes] = []
    states: set[str] = set()
    said: set[tuple[str, str]] = set()
    whole = anyio.Event()
    tokens = LiteralToken(url, user_token(key, secret, room))

    async with Session(recording.manifest.agent_id, tokens=tokens) as session:

        async def read() -> None:
            with session.subscribe(DataReceived, TranscriptUpdated, AgentStateChanged) as events:
                async for event in events:
                    match event:
                        case DataReceived():
                            received.append(event.data)
                        case AgentStateChanged():
                            states.add(event.state)
                        case TranscriptUpdated(entry) if entry.final:
                            said.add((entry.role, entry.text))
                        case _:
                            pass
                    if said >= expected and len(received) >= len(packets):
                        whole.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            token = agent_token(key, secret, room, "replay", "Lumi")
            with session.video.subscribe() as pictures, session.audio.subscribe() as sound:
                tasks.start_soon(agent.run, url, token)
                with anyio.fail_after(PATIENCE):
                    await session.connect()
                    await agent.playing.wait()
                    while not is_recorded(await anext(pictures)):
                        pass
                    while np.abs(np.frombuffer((await anext(sound)).data, np.int16)).max() < 500:
                        pass
                    await whole.wait()
            assert received == packets
            assert session.state.agent_identity == "replay"
            assert {"speaking"} <= states
            tasks.cancel_scope.cancel()
    assert agent.dropped == 0


async def test_a_refused_token_is_said_and_nothing_goes_on(keys: tuple[str, str, str]) -> None:
    url, key, _ = keys
    agent = ReplayAgent(ReplayRoom(WELCOME))
    token = agent_token(key, "another-secret-that-is-long-enough-for-it", ROOM, "replay", None)
    with anyio.fail_after(PATIENCE), pytest.raises(RoomRefusedError):
        await agent.run(url, token)


async def test_it_ends_with_the_recording_and_leaves(keys: tuple[str, str, str]) -> None:
    url, key, secret = keys
    room = f"{ROOM}-end-{os.getpid()}"
    replay = ReplayRoom(WELCOME, start=3.0, speed=2)
    agent = ReplayAgent(replay)
    tokens = LiteralToken(url, user_token(key, secret, room))
    async with Session("agt", tokens=tokens) as session, anyio.create_task_group() as tasks:
        token = agent_token(key, secret, room, "replay", None)
        ended = anyio.Event()

        async def run() -> None:
            await agent.run(url, token)
            ended.set()

        tasks.start_soon(run)
        with anyio.fail_after(PATIENCE):
            await session.connect()
            await agent.playing.wait()
            replay.seek(1.0)
            await ended.wait()
            with session.subscribe() as events:
                while session.state.agent_identity is not None:
                    await anext(events)
    assert agent.dropped == 0


CONFIG = """
agent_id = "agt"
control = false

[tokens]
kind = "local-keys"
url = "{url}"
api_key = {{ env = "LIVEKIT_API_KEY" }}
api_secret = {{ env = "LIVEKIT_API_SECRET" }}
room_name = "{room}"
"""


async def test_the_commands_publish_a_recording_and_record_it_again(
    keys: tuple[str, str, str], tmp_path: Path
) -> None:
    url, key, secret = keys
    room = f"{ROOM}-again-{os.getpid()}"
    config, folder = tmp_path / "livelayer.toml", tmp_path / "again"
    config.write_text(CONFIG.format(url=url, room=room))
    environment = os.environ | {"LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret}
    publish = ["replay", str(WELCOME), "--publish", url, "--room", room]
    record = ["record", "--config", str(config), "-o", str(folder)]
    with anyio.fail_after(2 * PATIENCE):
        async with (
            await anyio.open_process([*PROGRAM, *record], env=environment) as recorder,
            await anyio.open_process([*PROGRAM, *publish], env=environment) as publisher,
        ):
            assert await publisher.wait() == 0
            recorder.send_signal(signal.SIGINT)
            assert await recorder.wait() in (0, -signal.SIGINT, 128 + signal.SIGINT)
    again, first = Recording(folder), Recording(WELCOME)
    assert again.manifest.status == "finished"
    said = {entry.text for entry in first.state_at(first.seconds).transcript if entry.final}
    events = [moment.event for moment in again.moments]
    assert said <= {one.entry.text for one in events if isinstance(one, TranscriptUpdated)}
    assert again.media is not None
    assert again.manifest.pictures > 0
    reader = MediaReader(again.media, 0.0)
    frames = [frame for _, frame in reader.read(1e9)]
    reader.close()
    assert any(isinstance(frame, VideoFrame) and is_recorded(frame) for frame in frames)
    assert any(
        isinstance(frame, AudioFrame) and np.abs(frame.to_ndarray()).max() > 500 for frame in frames
    )
