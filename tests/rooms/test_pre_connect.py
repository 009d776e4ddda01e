"""What a user says before the agent is there: kept, and handed over as LiveKit's agents expect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import anyio
import pytest
from livekit import rtc
from livekit.rtc._proto.track_pb2 import AudioTrackFeature

from livelayer_bus.media import AudioFrame
from livelayer_bus.rooms import PublishedTrack, publishing
from livelayer_bus.testing import PATIENCE
from tests.rooms.kit import Joined, RecordingSink, Stage

pytestmark = [pytest.mark.anyio, pytest.mark.realtime]

RATE = 16_000
BUFFERED = AudioTrackFeature.TF_PRECONNECT_BUFFER


def sound(number: int) -> AudioFrame:
    """10 ms that can be told from any other."""
    return AudioFrame(bytes([number, number // 2]) * (RATE // 100), RATE, 1, RATE // 100)


async def say(microphone: PublishedTrack[AudioFrame], numbers: range) -> bytes:
    """Push these frames; what they hold together."""
    for number in numbers:
        await microphone.push(sound(number))
    return b"".join(bytes(sound(number).data) for number in numbers)


@dataclass
class Received:
    """One buffer, as an agent got it."""

    sender: str
    attributes: dict[str, str]
    mime_type: str
    sound: bytes


class Ear(rtc.Room):
    """An agent's room, which collects the buffers that it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.buffers: asyncio.Queue[Received] = asyncio.Queue()
        self._reading: set[asyncio.Task[None]] = set()
        self.register_byte_stream_handler("lk.agent.pre-connect-audio-buffer", self._on_stream)

    def _on_stream(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        task = asyncio.create_task(self._read(reader, sender))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        data = b"".join([chunk async for chunk in reader])
        info = reader.info
        await self.buffers.put(Received(sender, info.attributes or {}, info.mime_type, data))

    async def next(self) -> Received:
        """The next buffer that comes."""
        with anyio.fail_after(PATIENCE):
            return await self.buffers.get()


async def enter(stage: Stage, identity: str = "agent") -> Ear:
    """Let an agent join."""
    ear = Ear()
    await stage.join(identity, kind="agent", room=ear)
    return ear


def published(joined: Joined) -> rtc.LocalTrackPublication:
    """The only track of ours."""
    native = joined.room.native
    assert isinstance(native, rtc.Room)
    (publication,) = native.local_participant.track_publications.values()
    return publication


async def test_an_agent_that_comes_gets_what_was_said_before(stage: Stage, joined: Joined) -> None:
    microphone = await joined.room.open_track("microphone", sound(0))
    said = await say(microphone, range(1, 60))
    ear = await enter(stage)
    received = await ear.next()
    assert received == Received(
        "user",
        {"trackId": published(joined).sid, "sampleRate": "16000", "channels": "1"},
        "audio/pcm",
        said,
    )
    theirs = ear.remote_participants["user"].track_publications[published(joined).sid]
    assert BUFFERED in theirs.audio_features


async def test_an_agent_that_is_there_is_sent_nothing(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    ear = await enter(stage)
    await sink.saw("agent", "agent", True)
    microphone = await joined.room.open_track("microphone", sound(0))
    await say(microphone, range(1, 5))
    assert BUFFERED not in published(joined).audio_features
    # Streams arrive in order: what would have been sent came before this.
    await microphone.aclose()
    await joined.room.send(b"{}")
    got = asyncio.Event()
    ear.on("data_received", lambda _: got.set())
    await joined.room.send(b"{}")
    with anyio.fail_after(PATIENCE):
        await got.wait()
    assert ear.buffers.empty()


async def test_muted_words_are_not_kept(stage: Stage, joined: Joined) -> None:
    microphone = await joined.room.open_track("microphone", sound(0))
    before = await say(microphone, range(1, 10))
    microphone.set_muted(True)
    await say(microphone, range(10, 20))
    microphone.set_muted(False)
    after = await say(microphone, range(20, 30))
    ear = await enter(stage)
    assert (await ear.next()).sound == before + after


async def test_each_agent_gets_what_was_said_since_the_last_one_left(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    """The track says that there is a buffer, so that even one that missed nothing waits for it."""
    microphone = await joined.room.open_track("microphone", sound(0))
    ear = await enter(stage)
    assert (await ear.next()).sound == b""
    await say(microphone, range(1, 10))
    await ear.disconnect()
    await sink.saw("agent", None, False)
    said = await say(microphone, range(10, 20))
    second = await enter(stage, "second")
    assert (await second.next()).sound == said


async def test_the_newest_words_are_kept_and_older_ones_counted(
    stage: Stage, joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "KEPT_SECONDS", 0.1)
    microphone = await joined.room.open_track("microphone", sound(0))
    said = await say(microphone, range(1, 31))
    ear = await enter(stage)
    assert (await ear.next()).sound == said[-10 * RATE // 100 * 2 :]
    assert joined.room.statistics().microphone_dropped == 20
    await microphone.aclose()
    await joined.room.open_track("microphone", sound(0))
    assert joined.room.statistics().microphone_dropped == 20


async def test_a_microphone_that_was_closed_says_nothing(stage: Stage, joined: Joined) -> None:
    first = await joined.room.open_track("microphone", sound(0))
    await say(first, range(1, 5))
    await first.aclose()
    second = await joined.room.open_track("microphone", sound(0))
    said = await say(second, range(5, 9))
    ear = await enter(stage)
    assert (await ear.next()).sound == said
    assert ear.buffers.empty()
