"""Transcription streams: one entry a stream, whole wordings, and no stream in another's way."""

from __future__ import annotations

import itertools

import pytest
from livekit import rtc

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.rooms import transcription
from livelayer_bus.testing import polled, silence
from tests.rooms.kit import Joined, RecordingSink, Stage

pytestmark = pytest.mark.anyio

FINAL = "lk.transcription_final"


async def open_stream(
    room: rtc.Room,
    segment: str,
    *,
    sender: str | None = None,
    final: str = "false",
    track: str = "",
) -> rtc.TextStreamWriter:
    """Open a stream as livekit-agents does."""
    attributes = {"lk.segment_id": segment, FINAL: final}
    if track:
        attributes["lk.transcribed_track_id"] = track
    return await room.local_participant.stream_text(
        topic="lk.transcription", attributes=attributes, sender_identity=sender
    )


def last(sink: RecordingSink, segment: str) -> TranscriptEntry | None:
    """The newest entry of that segment."""
    return next((entry for entry in reversed(sink.entries) if entry.id == segment), None)


async def finished(sink: RecordingSink, segment: str) -> TranscriptEntry:
    """Wait for the segment's final entry."""
    await sink.until(lambda: any(e.id == segment and e.final for e in sink.entries))
    entry = last(sink, segment)
    assert entry is not None
    return entry


async def test_each_entry_holds_the_whole_text_so_far_and_the_trailer_makes_it_final(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "S")
    await writer.write("Hello, ")
    await sink.until(lambda: last(sink, "S") is not None)
    await writer.write("world")
    await writer.aclose(attributes={FINAL: "true"})
    entry = await finished(sink, "S")
    assert entry == TranscriptEntry("S", "agent", "Hello, world", True, 1, 1, "agent")
    assert sink.entries[0] == TranscriptEntry("S", "agent", "Hello, ", False, 1, 1, "agent")
    for older, newer in itertools.pairwise(sink.entries):
        assert newer.text.startswith(older.text)


@pytest.mark.parametrize(
    ("expression", "mood"),
    [
        ('{"expression":"soft, with care","mood":"empathetic"}', "empathetic"),
        ('{"expression":"like a pirate"}', "like a pirate"),
        ('{"mood":7}', None),
        ("happy", None),
        ('{"mood":"' + "x" * 101 + '"}', None),
    ],
)
async def test_the_agent_s_mood_is_part_of_what_it_says(
    stage: Stage, joined: Joined, sink: RecordingSink, expression: str, mood: str | None
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "S")
    await writer.write("I am sorry")
    await writer.aclose(attributes={FINAL: "true", "lk.expression": expression})
    assert (await finished(sink, "S")).mood == mood


async def test_words_with_times_are_read_as_words(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "timed")
    for line in ('{"text": "Hello, ", "start_time": 0.1}', '{"text": "w\\"orld"}', "no JSON"):
        await writer.write(line[:9])
        await writer.write(line[9:] + "\n")
    await writer.aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "timed")).text == 'Hello, w"orldno JSON\n'
    writer = await open_stream(agent, "code")
    await writer.write('{"name": 1}\nis JSON')
    await writer.aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "code")).text == '{"name": 1}\nis JSON'


async def test_a_final_mark_in_the_header_counts_once_the_stream_has_ended(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "S", final="true")
    await writer.write("all of it")
    await sink.until(lambda: last(sink, "S") is not None)
    assert not any(entry.final for entry in sink.entries)
    await writer.aclose()
    assert (await finished(sink, "S")).text == "all of it"


async def test_words_belong_to_the_owner_of_the_track_else_to_the_sender(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await stage.worker()
    source = rtc.AudioSource(48_000, 1)
    voice = rtc.LocalAudioTrack.create_audio_track("voice", source)
    published = await agent.local_participant.publish_track(voice)
    native = joined.room.native
    assert native is not None
    await polled(
        lambda: (
            "worker" in native.remote_participants
            and published.sid in native.remote_participants["agent"].track_publications
        )
    )
    ours = await joined.room.open_track("microphone", silence())
    own_sid = next(iter(native.local_participant.track_publications))
    cases = {
        "agent's": ("agent", "", "agent"),
        "worker's": ("worker", "", "agent"),
        "ours": ("user", "", "user"),
        "our track, named by the agent": ("agent", own_sid, "user"),
        "the agent's track, named by a person": ("user", published.sid, "user"),
        "not announced yet": ("nobody", "", "agent"),
    }
    for segment, (sender, track, role) in cases.items():
        writer = await open_stream(agent, segment, sender=sender, track=track)
        await writer.write(segment)
        await writer.aclose(attributes={FINAL: "true"})
        entry = await finished(sink, segment)
        assert (entry.role, entry.sender) == (role, None if sender == "user" else sender)
    await ours.aclose()
    await source.aclose()


async def test_a_person_cannot_send_as_the_agent_or_under_its_track(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    guest = await stage.join("guest")
    native = joined.room.native
    assert native is not None
    await polled(lambda: {"agent", "guest"} <= native.remote_participants.keys())
    source = rtc.AudioSource(48_000, 1)
    voice = rtc.LocalAudioTrack.create_audio_track("voice", source)
    published = await agent.local_participant.publish_track(voice)
    await polled(lambda: published.sid in native.remote_participants["agent"].track_publications)
    mine = await open_stream(agent, "S")
    await mine.write("It costs five.")
    forged = await open_stream(guest, "S", sender="agent", track=published.sid)
    await forged.write("It costs nothing.")
    await forged.aclose(attributes={FINAL: "true"})
    await mine.aclose(attributes={FINAL: "true"})
    await sink.until(lambda: sum(entry.final for entry in sink.entries) == 2)
    assert {(e.text, e.role, e.sender) for e in sink.entries if e.final} == {
        ("It costs five.", "agent", "agent"),
        ("It costs nothing.", "user", "guest"),
    }
    await source.aclose()


async def test_a_stream_that_never_ends_holds_up_no_other_and_order_is_that_of_opening(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    stuck = await open_stream(agent, "stuck")
    silent = await open_stream(agent, "silent")
    done = await open_stream(agent, "done")
    await done.write("later stream")
    await done.aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "done")).opened == 3
    await silent.write("first words")
    await silent.aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "silent")).opened == 2
    await stuck.write("no end")
    await sink.until(lambda: last(sink, "stuck") is not None)
    assert last(sink, "stuck") == TranscriptEntry("stuck", "agent", "no end", False, 1, 1, "agent")
    assert joined.room.statistics().transcriptions_open == 1


async def test_a_stream_whose_sender_leaves_keeps_what_it_gave(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "S", final="true")
    await writer.write("cut sh")
    await sink.until(lambda: last(sink, "S") is not None)
    await agent.disconnect()
    await sink.saw("agent", None, False)
    await polled(lambda: not joined.room.statistics().transcriptions_open)
    assert last(sink, "S") == TranscriptEntry("S", "agent", "cut sh", False, 1, 1, "agent")


async def test_a_person_with_many_open_streams_does_not_crowd_out_the_agent(
    stage: Stage, joined: Joined, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "MAX_WEIGHT", 6 * transcription.OPEN_WEIGHT)
    agent = await stage.agent()
    guest = await stage.join("guest")
    await sink.saw("agent", "agent", True)
    first = await open_stream(agent, "first")
    await first.write("the agent ")
    await sink.until(lambda: last(sink, "first") is not None)
    empty = [await open_stream(guest, f"E{number}") for number in range(20)]
    await polled(lambda: joined.room.statistics().transcriptions_abandoned >= 15)
    second = await open_stream(agent, "second")
    await second.write("again")
    for writer in (first, second):
        await writer.write("speaks")
        await writer.aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "first")).text == "the agent speaks"
    assert (await finished(sink, "second")).text == "againspeaks"
    # One long stream counts as much as many empty ones.
    await empty[-1].write("x" * 4 * transcription.OPEN_WEIGHT)
    await polled(lambda: joined.room.statistics().transcriptions_open <= 2)


async def test_too_many_open_streams_cost_the_oldest_and_are_counted(
    stage: Stage, joined: Joined, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "MAX_WEIGHT", 3 * transcription.OPEN_WEIGHT)
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writers = [await open_stream(agent, f"S{number}") for number in range(5)]
    await polled(lambda: joined.room.statistics().transcriptions_abandoned == 2)
    assert joined.room.statistics().transcriptions_open == 3
    await writers[0].write("nobody listens")
    await writers[4].write("kept")
    await writers[4].aclose(attributes={FINAL: "true"})
    assert (await finished(sink, "S4")).text == "kept"
    assert last(sink, "S0") is None


async def test_a_stream_that_grows_without_end_is_cut(
    stage: Stage, joined: Joined, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "MAX_CHARS", 100)
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    writer = await open_stream(agent, "S", final="true")
    await writer.write("a" * 80)
    await sink.until(lambda: last(sink, "S") is not None)
    await writer.write("b" * 80)
    await polled(lambda: not joined.room.statistics().transcriptions_open)
    assert joined.room.statistics().transcriptions_abandoned == 1
    assert last(sink, "S") == TranscriptEntry("S", "agent", "a" * 80, False, 1, 1, "agent")


async def test_a_burst_of_chunks_is_told_in_fewer_entries_than_chunks(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    text = "0123456789" * 10_000
    await agent.local_participant.send_text(
        text, topic="lk.transcription", attributes={"lk.segment_id": "S", FINAL: "true"}
    )
    entry = await finished(sink, "S")
    assert entry.text == text


async def test_a_stream_without_a_segment_goes_by_its_own_id(
    stage: Stage, joined: Joined, sink: RecordingSink
) -> None:
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    info = await agent.local_participant.send_text("hm", topic="lk.transcription")
    await sink.until(lambda: bool(sink.entries))
    assert last(sink, info.stream_id) is not None
