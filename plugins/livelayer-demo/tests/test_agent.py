"""The demo agent in a real room: seen, heard, read and answered by an ordinary participant."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio
import numpy as np
import pytest
from livekit import rtc
from livelayer_demo import DemoAgent, DemoAgentFailedError
from livelayer_demo.guide import CANNOT_TRANSCRIBE, PLEASE_TYPE
from livelayer_demo.speech import Speech, Voice

from livelayer_bus import DataReceived, LiteralToken, Session
from livelayer_bus.errors import ConnectError, MisuseError, RoomRefusedError
from livelayer_bus.rooms import keep
from livelayer_bus.testing import PATIENCE, polled

pytestmark = pytest.mark.anyio

MOUTH = (slice(208, 274), slice(272, 368))
SENTENCE = 30  # seconds that no sentence here lasts


class Stage(Protocol):
    """What `conftest` hands out."""

    url: str
    server: Any

    def agent_token(self) -> str: ...
    def user_token(self, identity: str = "user") -> str: ...


class User:
    """A participant that keeps what it saw and heard, and acts as a page if it is told to."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.messages: list[dict[str, Any]] = []
        self.attributes: list[str] = []
        self.spoken: list[str] = []
        self.frames = 0
        self.mouths: list[float] = []
        self.loudest = 0.0
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("data_received", self._on_data)
        self.room.on("track_subscribed", self._on_track)
        self.room.on("participant_attributes_changed", self._on_attributes)
        self.room.on("participant_disconnected", lambda _: self._changed.set())
        self.room.register_text_stream_handler("lk.transcription", self._on_transcript)

    @property
    def states(self) -> list[str]:
        return [item["state"] for item in self.messages if item["type"] == "agent_state"]

    def types(self) -> list[str]:
        return [item["type"] for item in self.messages]

    def said(self, words: str) -> bool:
        return any(words in text for text in self.spoken)

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def send(self, message: dict[str, Any]) -> None:
        await self.room.local_participant.publish_data(json.dumps(message), reliable=True)

    async def type(self, text: str) -> None:
        await self.send({"type": "user_message", "text": text})

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _on_data(self, packet: rtc.DataPacket) -> None:
        message = json.loads(packet.data)
        self.messages.append(message)
        if answer := self.answers.get(message["type"]):
            self._spawn(self.send(answer(message)))
        self._changed.set()

    def _on_attributes(self, changed: dict[str, str], _: rtc.Participant) -> None:
        if state := changed.get("lk.agent.state"):
            self.attributes.append(state)
        self._changed.set()

    def _on_track(self, track: rtc.RemoteTrack, *_: Any) -> None:
        watch = self._watch if track.kind == rtc.TrackKind.KIND_VIDEO else self._listen
        self._spawn(watch(track))

    def _on_transcript(self, reader: rtc.TextStreamReader, _: str) -> None:
        self._spawn(self._read(reader))

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        text = await reader.read_all()
        self.spoken.append(text)
        self._changed.set()

    async def _watch(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track, capacity=2, format=rtc.VideoBufferType.I420)
        async for event in stream:
            frame = event.frame
            luma = np.frombuffer(frame.data, dtype=np.uint8)[: frame.width * frame.height]
            mouth = luma.reshape(frame.height, frame.width)[MOUTH]
            self.mouths.append(float((mouth < 100).sum()))
            self.frames += 1
            self._changed.set()

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, capacity=100):
            samples = np.frombuffer(event.frame.data, dtype=np.int16).astype(np.float64)
            self.loudest = max(self.loudest, float(np.sqrt(np.mean(samples * samples))))
            self._changed.set()


@asynccontextmanager
async def joined(stage: Stage, identity: str = "user") -> AsyncGenerator[User, None]:
    user = User()
    await user.room.connect(
        stage.url, stage.user_token(identity), rtc.RoomOptions(single_peer_connection=False)
    )
    keep(user.room)
    try:
        yield user
    finally:
        await user.aclose()


def quiet_agent(stage: Stage, **options: Any) -> DemoAgent:
    return DemoAgent(stage.url, stage.agent_token(), greeting=None, **options)


def in_order(wanted: list[str], seen: list[str]) -> bool:
    rest = iter(seen)
    return all(item in rest for item in wanted)


async def test_a_typed_line_is_answered_in_speech_text_state_and_face(stage: Stage) -> None:
    course = ["listening", "thinking", "speaking", "listening"]
    async with joined(stage) as user, quiet_agent(stage):
        await user.until(lambda: user.frames > 10)
        still = max(user.mouths[-5:]) - min(user.mouths[-5:])
        await user.type("hello")
        await user.until(lambda: "speaking" in user.states)
        frames = user.frames
        await user.until(lambda: user.frames > frames + 10)  # the picture goes on while it speaks
        await user.until(lambda: user.said("What would you like to know?"))
        await user.until(lambda: in_order(course, user.states) and user.states[-1] == "listening")
        await user.until(lambda: in_order(["thinking", "speaking", "listening"], user.attributes))
        await user.until(lambda: user.loudest > 1_000)
        await user.until(lambda: max(user.mouths) - min(user.mouths) > still + 150)

    assert in_order(
        ["bot_ready", "avatar_stream_ready", "agent_state", "avatar_active", "avatar_idle"],
        user.types(),
    )


async def test_the_greeting_is_heard_and_read_whole(stage: Stage) -> None:
    async with joined(stage) as user, DemoAgent(stage.url, stage.agent_token()):
        await user.until(lambda: bool(user.spoken))
    [greeting] = user.spoken
    assert greeting.startswith("Hello, I am Lumi")
    assert greeting.endswith("tell me where to go.")


async def test_chat_of_livekit_is_understood_too(stage: Stage) -> None:
    async with joined(stage) as user, quiet_agent(stage, thinking_seconds=0.0):
        await user.until(lambda: "bot_ready" in user.types())
        await user.room.local_participant.send_text("how are you?", topic="lk.chat")
        await user.until(lambda: user.said("Very well, thank you."))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"ok": True, "surface": "panel"}, "Here we are: pricing."),
        ({"ok": False, "reason": "capability"}, "I may not do that here"),
        ({"ok": False, "reason": "timeout"}, "did not manage it in time"),
    ],
)
async def test_the_agent_reports_what_became_of_a_command(
    embedded: Stage, result: dict[str, Any], words: str
) -> None:
    async with joined(embedded) as user, quiet_agent(embedded, thinking_seconds=0.0):
        user.answers["navigate"] = lambda command: {
            "type": "command_result",
            "command": command["type"],
            **result,
        }
        await user.until(lambda: "bot_ready" in user.types())
        await user.type("go to pricing")
        await user.until(lambda: user.said(words))
    assert {"type": "navigate", "href": "/pricing"} in user.messages
    assert user.spoken == [user.spoken[0].strip()]


async def test_without_a_surface_that_may_the_agent_says_that_it_may_not(stage: Stage) -> None:
    async with quiet_agent(stage, thinking_seconds=0.0):
        tokens = LiteralToken(stage.url, stage.user_token())
        async with Session("demo", tokens=tokens) as session:
            with session.subscribe() as changes, anyio.fail_after(PATIENCE):
                await session.connect()
                while not isinstance(await anext(changes), DataReceived):
                    pass
                await session.send_text("go to pricing")
                while not any("I may not do that here" in e.text for e in session.transcript):
                    await anext(changes)


async def test_without_an_answer_success_is_not_claimed(embedded: Stage) -> None:
    async with joined(embedded) as user, quiet_agent(embedded, thinking_seconds=0.0):
        await user.until(lambda: "bot_ready" in user.types())
        await user.type("scroll down")
        await user.until(lambda: user.said("The page did not answer"))
    assert not user.said("I have scrolled")


async def test_a_page_is_read_out(embedded: Stage) -> None:
    async with joined(embedded) as user, quiet_agent(embedded, thinking_seconds=0.0):
        user.answers["request_page_context"] = lambda request: {
            "type": "page_context",
            "requestId": request["requestId"],
            "context": {"title": "Pricing"},
        }
        await user.until(lambda: "bot_ready" in user.types())
        await user.type("what is on this page?")
        await user.until(lambda: user.said("This page is called Pricing."))


async def test_a_late_joiner_learns_that_the_agent_is_ready(embedded: Stage) -> None:
    async with quiet_agent(embedded), joined(embedded) as first:
        await first.until(lambda: "agent_state" in first.types())
        async with joined(embedded, "late") as late:
            await late.until(lambda: "agent_state" in late.types())
            await late.type("hello")
            await late.until(lambda: late.said("What would you like to know?"))
    assert late.types()[:3] == ["bot_ready", "avatar_stream_ready", "agent_state"]
    assert first.types().count("bot_ready") == 1


async def test_a_second_person_is_served_after_the_first_left(embedded: Stage) -> None:
    async with quiet_agent(embedded, thinking_seconds=0.0):
        async with joined(embedded, "first") as first:
            await first.until(lambda: "bot_ready" in first.types())
        async with joined(embedded, "second") as second:
            await second.until(lambda: "bot_ready" in second.types())
            await second.room.local_participant.send_text("tell me a joke", topic="lk.chat")
            await second.until(lambda: second.said("Two surfaces walk into a room"))


async def test_typing_interrupts_what_is_being_said(embedded: Stage) -> None:
    async with joined(embedded) as user, quiet_agent(embedded, thinking_seconds=0.0):
        await user.until(lambda: "bot_ready" in user.types())
        await user.type("what is a surface?")
        await user.until(lambda: "speaking" in user.states)
        await user.type("thank you")
        await user.until(lambda: user.said("You are welcome."))
    assert not user.said("for all of them.")


@asynccontextmanager
async def microphone(user: User, rate: int) -> AsyncGenerator[rtc.AudioSource, None]:
    """The user's published microphone, once the agent listens to it.

    It holds a whole sentence, so that a process that is held up makes no pause within it.
    """
    source = rtc.AudioSource(rate, 1, queue_size_ms=1000 * SENTENCE)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    publication = await user.room.local_participant.publish_track(track, options)
    with anyio.fail_after(PATIENCE):
        await publication.wait_for_subscription()
    yield source
    await source.aclose()


async def speak(source: rtc.AudioSource, said: Speech) -> None:
    """Play speech and two seconds of silence after it."""
    rate = said.sample_rate
    pcm = said.pcm + bytes(2 * 2 * rate)
    size = rate // 50 * 2
    for start in range(0, len(pcm) - size + 1, size):
        await source.capture_frame(rtc.AudioFrame(pcm[start : start + size], rate, 1, size // 2))


async def test_speech_is_heard_and_its_limits_are_admitted(embedded: Stage) -> None:
    said = Voice("en-us+m3").speak("Hello there, can you hear me? I am talking to you.")
    async with joined(embedded) as user, quiet_agent(embedded):
        await user.until(lambda: "bot_ready" in user.types())
        async with microphone(user, said.sample_rate) as source:
            await speak(source, said)
            await user.until(lambda: user.said(CANNOT_TRANSCRIBE))


async def test_with_ears_a_spoken_sentence_is_understood_at_its_end(embedded: Stage) -> None:
    said = Voice("en-us+m3").speak("Please go to pricing, if you can hear me.")
    turns: list[float] = []

    async def transcribe(speech: rtc.AudioFrame) -> str:
        turns.append(speech.duration)
        return "go to pricing"

    async with joined(embedded) as user, quiet_agent(embedded, transcribe=transcribe):
        user.answers["navigate"] = lambda command: {
            "type": "command_result",
            "command": command["type"],
            "ok": True,
        }
        await user.until(lambda: "bot_ready" in user.types())
        async with microphone(user, said.sample_rate) as source:
            await speak(source, said)
            await user.until(lambda: user.said("Here we are: pricing."))

    assert in_order(["listening", "thinking", "speaking"], user.states)
    assert {"type": "navigate", "href": "/pricing"} in user.messages
    assert user.said("go to pricing")
    assert not user.said(CANNOT_TRANSCRIBE)
    assert len(turns) == 1


async def test_ears_that_fail_cost_one_turn_and_the_agent_asks_to_type(embedded: Stage) -> None:
    said = Voice("en-us+m3").speak("Hello there, can you hear me? I am talking to you.")

    async def transcribe(_speech: rtc.AudioFrame) -> str:
        raise OSError("the recogniser is away")

    async with joined(embedded) as user, quiet_agent(embedded, transcribe=transcribe):
        await user.until(lambda: "bot_ready" in user.types())
        async with microphone(user, said.sample_rate) as source:
            await speak(source, said)
            await user.until(lambda: user.said(PLEASE_TYPE))
        await user.type("thank you")
        await user.until(lambda: user.said("You are welcome."))


async def test_noise_on_the_wire_is_counted_and_harms_nobody(embedded: Stage) -> None:
    async with joined(embedded) as user, quiet_agent(embedded, thinking_seconds=0.0) as agent:
        await user.until(lambda: "bot_ready" in user.types())
        for payload in (b"\xff\xfe", b"[]", b'{"type": 5}', b'{"type": "command_result"}', b"{"):
            await user.room.local_participant.publish_data(payload, reliable=True)
        await user.send({"type": "quiz_response", "answer": 42})
        await user.type("thank you")
        await user.until(lambda: user.said("You are welcome."))
        assert agent.wire_statistics().malformed == 5


async def test_closing_in_the_middle_of_a_sentence_leaves_nothing_behind(embedded: Stage) -> None:
    async with joined(embedded) as user:
        async with quiet_agent(embedded):
            await user.until(lambda: user.frames > 3)
        threads, tasks = threading.active_count(), len(asyncio.all_tasks())
        with anyio.fail_after(PATIENCE):
            async with quiet_agent(embedded):
                await user.type("what is a surface?")
                await user.until(lambda: user.states[-1:] == ["speaking"])
        await user.until(lambda: not user.room.remote_participants)
    await polled(
        lambda: not any(one.name.startswith("demo-agent") for one in threading.enumerate())
    )
    await polled(lambda: threading.active_count() <= threads)
    await polled(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_a_closed_room_stops_the_agent_with_a_reason(embedded: Stage) -> None:
    agent = quiet_agent(embedded)

    async def outlive_the_server() -> None:
        async with agent:
            await embedded.server.aclose()
            await agent.wait_stopped()

    with anyio.fail_after(PATIENCE), pytest.raises(DemoAgentFailedError, match="room is gone"):
        await outlive_the_server()


async def test_a_bad_token_is_refused(embedded: Stage) -> None:
    agent = DemoAgent(embedded.url, "not-a-token")
    with anyio.fail_after(PATIENCE), pytest.raises(RoomRefusedError):
        async with agent:
            pytest.fail("entered with a bad token")


async def test_a_dead_server_is_a_connect_error(embedded: Stage) -> None:
    agent = DemoAgent("ws://127.0.0.1:9", embedded.agent_token(), start_timeout=1.0)
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectError):
        async with agent:
            pytest.fail("entered without a server")


async def test_an_agent_is_good_for_one_block_and_answers_only_inside(embedded: Stage) -> None:
    agent = quiet_agent(embedded)
    with pytest.raises(MisuseError, match="not running"):
        agent.wire_statistics()
    async with agent:
        pass
    with pytest.raises(MisuseError, match="entered once"):
        async with agent:
            pytest.fail("entered twice")


async def test_leaving_gives_the_log_levels_back(embedded: Stage) -> None:
    logger = logging.getLogger("livekit.agents")
    before = logger.level
    async with quiet_agent(embedded):
        assert logger.getEffectiveLevel() >= logging.WARNING
    assert logger.level == before
