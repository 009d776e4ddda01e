"""Borrowing a room that the application connected: all of it is read, none of it is changed."""

from __future__ import annotations

import asyncio
import gc
import weakref

import anyio
import pytest
from livekit import rtc

from livelayer_bus.errors import BusyError
from livelayer_bus.rooms import BorrowedRoom
from livelayer_bus.testing import PATIENCE, polled
from tests.rooms.kit import Painter, RecordingSink, Stage, new_writers

pytestmark = pytest.mark.anyio


async def test_what_is_in_the_room_already_is_taken_up(stage: Stage, sink: RecordingSink) -> None:
    agent = await stage.agent(state="thinking")
    painter = Painter(agent, 90)
    await painter.start()
    lent = await stage.join("user")
    await polled(
        lambda: any(
            publication.track
            for one in lent.remote_participants.values()
            for publication in one.track_publications.values()
        )
    )
    room = BorrowedRoom(lent)
    await room.connect(stage.access(), sink, new_writers()[2])
    assert room.native is lent
    assert room.room_name == stage.room
    assert sink.calls == [("agent", "agent", True), ("agent_state", "thinking")]
    await sink.saw("track", "video", True, "agent")
    await room.aclose()
    assert lent.isconnected()
    await painter.stop()


async def test_after_closing_nothing_of_ours_is_attached_and_it_can_be_borrowed_again(
    stage: Stage, sink: RecordingSink
) -> None:
    lent = await stage.join("user")
    agent = await stage.agent()
    room = BorrowedRoom(lent)
    await room.connect(stage.access(), sink, new_writers()[2])
    await sink.saw("agent", "agent", True)
    await room.aclose()
    told = len(sink.calls)
    seen = asyncio.Event()
    lent.on("data_received", lambda _: seen.set())
    await agent.local_participant.publish_data(b"after")
    with anyio.fail_after(PATIENCE):
        await seen.wait()
    assert len(sink.calls) == told
    reference = weakref.ref(room)
    del room
    gc.collect()
    assert reference() is None

    again = RecordingSink()
    second = BorrowedRoom(lent)
    await second.connect(stage.access(), again, new_writers()[2])
    await agent.local_participant.send_text("hi", topic="lk.transcription")
    await again.until(lambda: bool(again.entries))
    await second.aclose()


async def test_attributes_of_ours_are_removed_and_the_owners_stay(
    stage: Stage, sink: RecordingSink
) -> None:
    lent, guest = await stage.join("user"), await stage.join("guest")
    await polled(lambda: "user" in guest.remote_participants)
    told = guest.remote_participants["user"]
    await lent.local_participant.set_attributes({"mood": "good"})
    room = BorrowedRoom(lent)
    await room.connect(stage.access(), sink, new_writers()[2])
    await room.set_attributes({"agent.context": "{}"})
    await polled(lambda: told.attributes == {"mood": "good", "agent.context": "{}"})
    await room.aclose()
    await polled(lambda: told.attributes == {"mood": "good"})


async def test_a_transcription_handler_of_the_owner_is_never_stolen(
    stage: Stage, sink: RecordingSink
) -> None:
    lent = await stage.join("user")
    got = asyncio.Event()

    def theirs(reader: rtc.TextStreamReader, _: str) -> None:
        reader.close()
        got.set()

    lent.register_text_stream_handler("lk.transcription", theirs)
    room = BorrowedRoom(lent)
    with pytest.raises(BusyError, match=r"lk\.transcription"):
        await room.connect(stage.access(), sink, new_writers()[2])
    await room.aclose()

    without = BorrowedRoom(lent, transcripts=False)
    await without.connect(stage.access(), sink, new_writers()[2])
    agent = await stage.agent()
    await sink.saw("agent", "agent", True)
    await without.aclose()
    await agent.local_participant.send_text("hi", topic="lk.transcription")
    with anyio.fail_after(PATIENCE):
        await got.wait()
    assert not sink.entries


async def test_the_owner_disconnecting_is_a_final_loss_but_no_fault(
    stage: Stage, sink: RecordingSink
) -> None:
    lent = await stage.join("user")
    room = BorrowedRoom(lent)
    await room.connect(stage.access(), sink, new_writers()[2])
    await lent.disconnect()
    await sink.until(lambda: bool(sink.losses))
    assert (sink.losses[0].rejoin, sink.losses[0].fault) == (False, False)
    await room.aclose()
