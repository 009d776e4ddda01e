"""Every event is one line of JSON and comes back from it, whatever packet it carries."""

from __future__ import annotations

import base64
import json
from typing import Any, cast, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livelayer_bus import events
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.events import packet_payload
from livelayer_bus.jsonl import EventLine, LaggedLine, SnapshotLine, decode_line, encode_line
from tests.support import EXAMPLES

EVENTS: tuple[type[events.Event], ...] = get_args(events.AnyEvent)
PACKETS = (events.DataReceived, events.DataSent, events.CommandReceived)


def encode_event(event: events.Event) -> bytes:
    return encode_line(EventLine("s:1", 1, 0, "", cast(events.AnyEvent, event)))


def decode_event(line: bytes) -> events.AnyEvent:
    decoded = decode_line(line)
    assert isinstance(decoded, EventLine)
    return decoded.event


def test_every_event_class_can_be_decoded() -> None:
    classes = {
        value
        for name, value in vars(events).items()
        if isinstance(value, type) and issubclass(value, events.Event) and not name.startswith("_")
    }
    assert classes - {events.Event} == set(EVENTS)


@pytest.mark.parametrize("cls", EVENTS)
@given(data=st.data())
@settings(max_examples=60 * EXAMPLES, deadline=None)
def test_a_line_gives_back_its_event(cls: type[Any], data: st.DataObject) -> None:
    event = data.draw(st.from_type(cls))
    line = encode_event(event)
    assert b"\n" not in line.removesuffix(b"\n")
    assert b"\r" not in line
    assert json.loads(line)["event"]["event"] == cls.__name__
    again = decode_event(line)
    if isinstance(event, PACKETS):
        # White space around the packet's JSON, and line breaks in it, do not survive.
        assert json.loads(bytes(again.payload)) == json.loads(bytes(event.payload))  # type: ignore[union-attr]  # cls is one of PACKETS
        event = msgspec.structs.replace(event, payload=msgspec.Raw(b"0"))
        again = msgspec.structs.replace(again, payload=msgspec.Raw(b"0"))
    assert again == event


@given(st.binary())
@example(b'{"type":"\xff"}')
@example(b"[" * 100_000)
@example(b'{"a":' * 150 + b"1" + b"}" * 150)
@example(b'"\\ud800"')
@example(b"1e999")
@example(b"9" * 5_000)
def test_any_packet_is_kept_byte_for_byte(data: bytes) -> None:
    payload, is_json = packet_payload(data)
    event = events.DataReceived(payload=payload, is_json=is_json)
    assert event.data == data
    again = decode_event(encode_event(event))
    assert isinstance(again, events.DataReceived)
    assert again.is_json == is_json
    if is_json:
        assert again.json() == event.json()
    else:
        assert again.data == data
        assert base64.b64decode(json.loads(bytes(payload))) == data


@given(st.binary())
@example(b'{"line":"event","event":{"event":"SurfaceMounted","key":"\xff"}}')
@example(b"[" * 100_000)
@example(b'{"line":"event","event":{"event":"DataSent","payload":' + b"[" * 100_000)
def test_any_line_is_decoded_or_malformed(line: bytes) -> None:
    try:
        decoded = decode_line(line)
    except MalformedMessageError:
        return
    assert isinstance(decoded, EventLine | SnapshotLine | LaggedLine)
