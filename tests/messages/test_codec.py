"""Whatever goes in, a message comes out whole or one typed error says what is wrong with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livelayer_bus import messages as m
from livelayer_bus.errors import MalformedMessageError
from livelayer_bus.messages import WireMessage
from tests.support import EXAMPLES

KNOWN: tuple[type[WireMessage], ...] = (*m.FROM_AGENT, *m.TO_AGENT)
MARK = "hunter2-payload"
quick = settings(
    max_examples=60 * EXAMPLES, suppress_health_check=[HealthCheck.too_slow], deadline=None
)


@pytest.mark.parametrize("cls", [*KNOWN, m.RawMessage])
@given(data=st.data())
@quick
def test_decoding_gives_back_what_was_encoded(cls: type[Any], data: st.DataObject) -> None:
    message = data.draw(st.from_type(cls))
    assert m.decode(m.encode(message)) == message


@given(st.binary())
@settings(max_examples=300 * EXAMPLES, deadline=None)
def test_arbitrary_bytes_give_a_message_or_the_typed_error(data: bytes) -> None:
    _decodes_or_is_malformed(data)


@given(st.data())
@settings(max_examples=300 * EXAMPLES, deadline=None)
def test_damaged_messages_give_a_message_or_the_typed_error(data: st.DataObject) -> None:
    kinds: list[Any] = [*KNOWN, m.RawMessage]
    cls = data.draw(st.sampled_from(kinds))
    sound = m.encode(data.draw(st.from_type(cls)))
    at = data.draw(st.integers(0, len(sound)))
    gap = data.draw(st.integers(0, 3))
    _decodes_or_is_malformed(sound[:at] + data.draw(st.binary(max_size=4)) + sound[at + gap :])


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 1_000_000,
        b'{"type":"page_context","context":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"type":"invented","x":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
        b'"' + b'\\"' * 500_000,
        b'{"type":"navigate","href":"\xff"}',
        b'{"type":"navigate","href":"/","later":"\xff"}',
        b'{"type":"\xff"}',
        b'\xef\xbb\xbf{"type":"bot_ready"}',
        b'{"type":"invented","n":1e999}',
        b'{"type":"invented","n":' + b"9" * 5_000 + b"}",
        b'{"type":"invented","n":NaN}',
        b'{"type":"invented","s":"\\ud800"}',
        b'{"type":"bot_ready"} {"type":"bot_ready"}',
        b'{"type":"click","type":"navigate","href":"/"}',
        b'{"type":null}',
        b'{"type":7}',
        b"{}",
        b"[]",
        b"null",
        b'"bot_ready"',
        b"",
    ],
    ids=lambda data: data[:24].decode("latin-1"),
)
def test_hostile_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        m.decode(data)


def test_a_megabyte_passes() -> None:
    text = "y" * 1_000_000
    assert m.decode(m.encode(m.UserMessage(text))) == m.UserMessage(text)


def test_brackets_inside_texts_are_not_depth() -> None:
    brackets = m.UserMessage('[{"' * 1_000)
    assert m.decode(m.encode(brackets)) == brackets


def test_an_unknown_type_passes_through_whole() -> None:
    wire = b'{"n":123456789012345678901234567890,"a":[1,2.5,null,{"b":"\\u00e4"}],"type":"quiz"}'
    message = m.decode(wire)
    assert message == m.RawMessage(
        "quiz", {"n": 123456789012345678901234567890, "a": [1, 2.5, None, {"b": "ä"}]}
    )
    assert json.loads(m.encode(message)) == json.loads(wire)


@pytest.mark.parametrize("cls", KNOWN)
def test_each_missing_or_wrong_field_is_named_and_no_value_is_repeated(
    cls: type[WireMessage],
) -> None:
    for field in msgspec.structs.fields(cls):
        sound = _sound(cls)
        sound.pop(field.encode_name, None)
        if field.required:
            with pytest.raises(MalformedMessageError, match=f"`{field.encode_name}`") as missing:
                m.decode(json.dumps(sound).encode())
            assert missing.value.message_type == cls.wire_type()
        for wrong in (MARK, {MARK: MARK}, [MARK] * 300, 3.5, f"x' - at `$.{MARK}`"):
            error = _error(json.dumps({**sound, field.encode_name: wrong}).encode())
            if error is not None:
                assert MARK not in str(error)
                assert field.encode_name in error.problem


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        ({"type": "navigate"}, "Object missing required field `href`"),
        (
            {"type": "scroll_page", "direction": "sideways"},
            "direction must be one of up, down, top, bottom",
        ),
        (
            {"type": "agent_state", "state": "asleep"},
            "state must be one of idle, listening, thinking, speaking",
        ),
        ({"type": "click", "selector": ""}, "selector is empty"),
        (
            {"type": "fill_form", "formId": "f", "values": {"a": 1}},
            "Expected `str`, got `int` - at `$.values[...]`",
        ),
        ({"type": "routes", "routes": ["/"] * 201}, "201 routes, at most 200 are allowed"),
    ],
)
def test_the_problem_says_what_is_wrong(wire: dict[str, object], problem: str) -> None:
    with pytest.raises(MalformedMessageError) as caught:
        m.decode(json.dumps(wire).encode())
    assert caught.value.problem == problem


def test_two_hundred_routes_are_allowed() -> None:
    routes = m.Routes(("/",) * 200)
    assert m.decode(m.encode(routes)) == routes


@pytest.mark.parametrize("cls", KNOWN)
@given(data=st.data())
@quick
def test_null_in_an_optional_field_is_the_same_as_leaving_it_out(
    cls: type[Any], data: st.DataObject
) -> None:
    message = data.draw(st.from_type(cls))
    wire = json.loads(m.encode(message))
    optional = [one.encode_name for one in msgspec.structs.fields(cls) if not one.required]
    nulls = {name: None for name in optional if name not in wire}
    assert m.decode(json.dumps({**nulls, **wire}).encode()) == message


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"type": "agent_caption", "id": 5, "text": "Hi"}, m.AgentCaption("Hi", "5")),
        ({"type": "submit_form", "formId": 1, "requestId": 0}, m.SubmitForm("1", "0")),
        ({"type": "form_submitted", "formId": "f", "requestId": 7}, m.FormSubmitted("f", "7")),
    ],
)
def test_an_id_may_be_a_number(wire: dict[str, Any], message: m.Message) -> None:
    data = json.dumps(wire).encode()
    assert m.decode(data) == message
    known = wire.get("requestId")
    assert m.read(data).request_id == (None if known is None else str(known))


@pytest.mark.parametrize("wrong", [True, 1.5, [], {}])
def test_an_id_is_nothing_else(wrong: Any) -> None:
    data = json.dumps({"type": "submit_form", "formId": "f", "requestId": wrong}).encode()
    with pytest.raises(MalformedMessageError):
        m.decode(data)


def test_what_is_sent_has_its_form_exactly() -> None:
    with pytest.raises(MalformedMessageError):
        m.encode(m.SubmitForm("f", 7))  # type: ignore[arg-type]
    with pytest.raises(MalformedMessageError):
        m.encode(m.AgentCaption("Hi", final=None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"type": "a", "x": float("nan")}, "JSON cannot"),
        ({"type": "a", "x": [float("inf")]}, "JSON cannot"),
        ({"type": "a", "x": object()}, "JSON cannot"),
        ({"type": "a", "x": datetime.now(UTC)}, "JSON cannot"),
        ({"type": "a", "x": {(1, 2): 3}}, "JSON cannot"),
        ({"type": "a", "x": "\ud800"}, "surrogate"),
        ({"x": 1}, "'type'"),
        ({"type": 5}, "'type'"),
        ({}, "'type'"),
        (m.PageContext(float("nan")), "JSON cannot"),
        (m.RawMessage("a", {"x": float("nan")}), "JSON cannot"),
        (m.UserMessage("\udfff"), "surrogate"),
    ],
)
def test_what_has_no_json_form_is_refused(message: Any, problem: str) -> None:
    with pytest.raises(MalformedMessageError, match=problem):
        m.encode(message)


@pytest.mark.parametrize("message", [[], "bot_ready", b"{}", None, 5])
def test_what_is_no_object_is_refused(message: Any) -> None:
    with pytest.raises(MalformedMessageError, match="not a JSON object"):
        m.encode(message)


@pytest.mark.parametrize("levels", [99, 300, 100_000])
def test_too_many_levels_are_refused_and_a_hundred_pass(levels: int) -> None:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    for message in (m.PageContext(value), {"type": "invented", "x": value}):
        if levels < 100:
            m.decode(m.encode(message))
        else:
            with pytest.raises(MalformedMessageError, match="deeper than 100 levels"):
                m.encode(message)
    while value:  # an object this deep would overflow the stack when it is freed at once
        value = value[0]


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    for message in (m.PageContext(cycle), {"type": "invented", "x": cycle}):
        with pytest.raises(MalformedMessageError):
            m.encode(message)
    cycle.clear()


def test_a_known_message_with_a_wrong_field_is_not_sent() -> None:
    sideways: Any = "sideways"
    with pytest.raises(MalformedMessageError, match="direction must be one of"):
        m.encode(m.ScrollPage(sideways))
    number: Any = 5
    with pytest.raises(MalformedMessageError, match="Expected `str`, got `int`"):
        m.encode(m.UserMessage(number))
    with pytest.raises(MalformedMessageError, match="selector is not text"):
        m.Click(number)


def test_a_mapping_is_sent_as_it_is() -> None:
    inner = MappingProxyType({"nested": m.Click("#a")})
    sent = m.encode(MappingProxyType({"type": "quiz_response", "answer": inner}))
    assert json.loads(sent) == {
        "type": "quiz_response",
        "answer": {"nested": {"type": "click", "selector": "#a"}},
    }


def test_a_raw_message_cannot_hide_a_second_type() -> None:
    with pytest.raises(MalformedMessageError, match="repeat"):
        m.RawMessage("quiz", {"type": "navigate"})


def test_a_long_type_is_not_repeated_whole() -> None:
    with pytest.raises(MalformedMessageError) as caught:
        m.encode({"type": "t" * 100_000, "x": float("nan")})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"a":[{"type":"inner"}],"type":"outer"}', "outer"),
        (b'{"type":"navigate"}', "navigate"),
        (b'{"type":5}', None),
        (b'["type"]', None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_type_can_be_read_alone(data: bytes, name: str | None) -> None:
    assert m.message_type(data) == name


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        (m.RequestRoutes("r1"), "r1"),
        (m.RequestRoutes(), None),
        (m.UserMessage("hello"), None),
        (m.RawMessage("ask", {"requestId": "r2"}), "r2"),
        (m.RawMessage("ask", {"requestId": 5}), "5"),
        (m.RawMessage("ask", {"requestId": True}), None),
        ({"type": "ask", "requestId": "r3"}, "r3"),
    ],
)
def test_the_request_id_is_found(message: Any, request_id: str | None) -> None:
    assert m.request_id(message) == request_id


def test_classes_are_found_by_type() -> None:
    assert {cls.wire_type(): cls for cls in KNOWN} == {
        cls.wire_type(): m.by_type(cls.wire_type()) for cls in KNOWN
    }
    assert m.by_type("invented") is None


def _decodes_or_is_malformed(data: bytes) -> None:
    try:
        message = m.decode(data)
    except MalformedMessageError:
        return
    assert m.decode(m.encode(message)) == message


def _error(data: bytes) -> MalformedMessageError | None:
    try:
        m.decode(data)
    except MalformedMessageError as exc:
        return exc
    return None


def _sound(cls: type[WireMessage]) -> dict[str, Any]:
    samples: dict[str, Any] = {
        "state": "idle",
        "href": "/",
        "direction": "up",
        "values": {},
        "value": 1,
        "source": "agent",
        "routes": [],
        "status": "started",
        "role": "user",
        "resumed": True,
        "models": [],
        "reason": "validation",
        **({"reason": "spa_prevented"} if cls is m.FormSubmitUncertain else {}),
        **({"reason": "step_change"} if cls is m.PageScreenshot else {}),
        "ok": True,
        "context": {},
        "result": {
            "sessionId": "s",
            "startedAt": 1,
            "endedAt": 2,
            "source": "agent",
            "results": {},
        },
    }
    fields = {
        field.encode_name: samples.get(field.encode_name, "text")
        for field in msgspec.structs.fields(cls)
        if field.required
    }
    return {"type": cls.wire_type(), **fields}
