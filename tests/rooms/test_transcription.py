"""Transcription streams: one entry a stream, whole wordings, and no stream in another's way."""

from __future__ import annotations

import itertools

import pytest
from livekit import rtc

from livelayer_bus.events import TranscriptEntry
from livelayer_bus.rooms import transcription
from livelayer_bus.testing import polled
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
    assert entry == TranscriptEntry("S", "agent", "Hello, world", True, opened=1, stream=1)
    assert sink.entries[0] == TranscriptEntry("S", "agent", "Hello, ", False, opened=1, stream=1)
    for older, newer in itertools.pairwise(sink.entries):
        assert newer.text.startswith(older.text)


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
    cases = {
        "agent's": ("agent", "", "agent"),
        "worker's": ("worker", "", "agent"),
        "ours": ("user", "", "user"),
        "by track": ("user", published.sid, "agent"),
        "not announced yet": ("nobody", "", "agent"),
    }
    for segment, (sender, track, role) in cases.items():
        writer = await open_stream(agent, segment, sender=sender, track=track)
        await writer.write(segment)
        await writer.aclose(attributes={FINAL: "true"})
        assert (await finished(sink, segment)).role == role
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
    assert last(sink, "stuck") == TranscriptEntry("stuck", "agent", "no end", False, 1, 1)
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
    assert last(sink, "S") == TranscriptEntry("S", "agent", "cut sh", False, 1, 1)


async def test_too_many_open_streams_cost_the_oldest_and_are_counted(
    stage: Stage, joined: Joined, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "MAX_OPEN", 3)
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
    assert last(sink, "S") == TranscriptEntry("S", "agent", "a" * 80, False, 1, 1)


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
