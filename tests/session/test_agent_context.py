"""`agent.context`: which page and which fields the session's participant describes, and when."""

from __future__ import annotations

import json
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelayer_bus.contract import ControlledSession
from livelayer_bus.errors import ClosedError, MisuseError, NotSupportedError, RefusedError
from livelayer_bus.events import HandlerFailed
from livelayer_bus.messages import (
    CONTEXT_BYTES,
    AgentContext,
    ContextField,
    ContextFieldKind,
    FieldOption,
)
from livelayer_bus.session import Session
from livelayer_bus.session.agent_context import PAUSE
from livelayer_bus.state import SessionState
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ManualClock, ScriptedRoom, ScriptedRooms, settle

from .conftest import MakeSession

pytestmark = pytest.mark.anyio

MAIL = ContextField(id="mail", label="E-mail", kind="email", required=True)
PAGE = AgentContext(route="/plans", title="Plans")


def shown(room: ScriptedRoom) -> Any:
    text = room.attributes.get("agent.context")
    return text and json.loads(text)


class Shows:
    """A surface that describes what the test says."""

    view: SurfaceSession

    async def run(self, session: SurfaceSession) -> None:
        self.view = session
        await anyio.sleep_forever()


async def shows(session: Session, key: str, *capabilities: str) -> Shows:
    surface = Shows()
    session.mount(surface, key=key, capabilities=capabilities)
    await settle()
    return surface


@pytest.fixture
async def room(
    anyio_backend: object, session: Session, scripted_rooms: ScriptedRooms
) -> ScriptedRoom:
    await session.connect()
    return await scripted_rooms.next()


async def test_fields_of_the_application_are_published_in_one_attribute_after_a_pause(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    plan = ContextField(
        id="plan",
        label="Plan",
        kind="select",
        value="team",
        description="What it costs",
        options=(FieldOption("team", "Team"), "solo"),
        selector="#plan",
        form_id="order",
        region="plans",
        intent="buy",
    )
    remove = session.register_fields([MAIL])
    session.register_fields([plan])
    await manual_clock.elapse(PAUSE / 2)
    assert room.attributes == {}
    await manual_clock.elapse(PAUSE / 2)
    mail = {"id": "mail", "label": "E-mail", "kind": "email", "required": True}
    assert shown(room) == {
        "elements": [
            mail,
            {
                "id": "plan",
                "label": "Plan",
                "kind": "select",
                "value": "team",
                "required": False,
                "description": "What it costs",
                "options": [{"value": "team", "label": "Team"}, "solo"],
                "selector": "#plan",
                "formId": "order",
                "region": "plans",
                "intent": "buy",
            },
        ]
    }
    session.register_fields([ContextField(id="plan", label="Other")])
    remove()
    await manual_clock.elapse(PAUSE)
    other = {"id": "plan", "label": "Other", "kind": "text", "required": False}
    assert shown(room) == {"elements": [other]}


async def test_removing_fields_leaves_those_that_replaced_them(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    remove = session.register_fields([MAIL, ContextField(id="name", label="Name")])
    session.register_fields([ContextField(id="name", label="Your name")])
    remove()
    remove()
    await manual_clock.elapse(PAUSE)
    assert [one["label"] for one in shown(room)["elements"]] == ["Your name"]


async def test_the_page_of_the_surface_used_last_is_described(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    left, right = await shows(session, "left", "read_page"), await shows(session, "right")
    third = await shows(session, "third", "read_page")
    left.view.describe_page(PAGE)
    right.view.describe_page(AgentContext(route="/not-granted"))
    right.view.mark_used()
    await manual_clock.elapse(PAUSE)
    assert shown(room) == {"route": "/plans", "title": "Plans"}
    third.view.mark_used()
    await manual_clock.elapse(PAUSE)
    assert shown(room)["route"] == "/plans"  # the third one shows no page
    third.view.describe_page(AgentContext(route="/third"))
    await manual_clock.elapse(PAUSE)
    assert shown(room)["route"] == "/third"
    left.view.mark_used()
    await manual_clock.elapse(PAUSE)
    assert shown(room)["route"] == "/plans"
    left.view.describe_page(None)
    await manual_clock.elapse(PAUSE)
    assert shown(room)["route"] == "/third"


async def test_a_page_goes_with_its_surface_and_the_attribute_with_the_last_page(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    surface = Shows()
    mounted = session.mount(surface, key="web", capabilities=["read_page"])
    await settle()
    surface.view.describe_page(PAGE)
    await manual_clock.elapse(PAUSE)
    assert shown(room) is not None
    await mounted.unmount()
    await manual_clock.elapse(PAUSE)
    assert room.attributes == {}


async def test_a_registered_field_wins_and_takes_what_it_leaves_open_from_the_page(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    web = await shows(session, "web", "read_page")
    found = ContextField(id="mail", label="Mail", value="a@b.example", form_id="a", selector="#m")
    elsewhere = ContextField(id="mail", label="Mail", value="c@d.example", form_id="b")
    name = ContextField(id="name", label="Name", value="Ada", form_id="a")
    web.view.describe_page(
        AgentContext(route="/", elements=(name, found, elsewhere), available_actions=("go_back",))
    )
    session.register_fields([MAIL, ContextField(id="name", label="You", value=False)])
    await manual_clock.elapse(PAUSE)
    told = shown(room)
    assert told["availableActions"] == ["go_back"]
    assert [(one["id"], one["label"], one.get("value")) for one in told["elements"]] == [
        ("mail", "E-mail", "a@b.example"),
        ("name", "You", False),
        ("mail", "Mail", "c@d.example"),
    ]
    assert told["elements"][0]["selector"] == "#m"
    assert told["elements"][0]["kind"] == "email"


async def test_it_is_published_in_each_room_and_again_after_a_reconnect(
    session: Session, scripted_rooms: ScriptedRooms, manual_clock: ManualClock
) -> None:
    session.register_fields([MAIL])
    await manual_clock.elapse(PAUSE)  # there is no room
    await session.connect()
    first = await scripted_rooms.next()
    await manual_clock.elapse(PAUSE)
    assert shown(first) is not None
    first.attributes.clear()  # as a server does that was restarted
    first.reconnecting()
    first.reconnected()
    await manual_clock.elapse(PAUSE)
    assert shown(first) is not None
    first.lose()
    await manual_clock.elapse(1 + PAUSE)
    second = await scripted_rooms.next()
    await manual_clock.elapse(PAUSE)
    assert second is not first
    assert shown(second) is not None


async def test_what_is_as_it_was_is_not_sent_again(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    session.register_fields([MAIL])
    await manual_clock.elapse(PAUSE)
    room.attributes.clear()
    session.register_fields([MAIL])
    await manual_clock.elapse(PAUSE)
    assert room.attributes == {}


async def test_a_refusal_is_reported_once_and_the_next_change_tries_again(
    session: Session, room: ScriptedRoom, manual_clock: ManualClock
) -> None:
    room.sending.fail(RefusedError("attributes need a token with canUpdateOwnMetadata"))
    with session.subscribe(HandlerFailed) as events:
        for label in ("One", "Two"):
            session.register_fields([ContextField(id="name", label=label)])
            await manual_clock.elapse(PAUSE)
        failed = await anext(events)
        assert failed.handler == "agent.context"
        assert "canUpdateOwnMetadata" in failed.error
        assert events.lag == 0
    room.sending.open()
    session.register_fields([ContextField(id="name", label="Three")])
    await manual_clock.elapse(PAUSE)
    assert [one["label"] for one in shown(room)["elements"]] == ["Three"]


async def test_nothing_is_published_by_a_session_that_is_not_open(
    make_session: MakeSession, manual_clock: ManualClock
) -> None:
    session = make_session()
    with pytest.raises(MisuseError):
        session.register_fields([MAIL])
    async with session:
        remove = session.register_fields([MAIL])
        session.describe_page(PAGE)
    remove()
    with pytest.raises(ClosedError):
        session.register_fields([MAIL])
    assert manual_clock.sleepers == 0


async def test_a_session_without_attributes_says_so() -> None:
    class Plain(ControlledSession):
        @property
        def state(self) -> SessionState:
            raise NotImplementedError

        def subscribe(self, *types: Any, after: int | str | None = None) -> Any:
            raise NotImplementedError

    with pytest.raises(NotSupportedError, match="describe_page"):
        Plain().describe_page(PAGE)


KINDS: Any = ContextFieldKind
TEXTS = st.text(max_size=2000)
FIELDS = st.builds(
    ContextField,
    id=st.text(min_size=1, max_size=40),
    label=TEXTS,
    kind=st.sampled_from(KINDS.__args__),
    value=st.none() | TEXTS | st.integers(-(2**53), 2**53) | st.booleans()
    | st.lists(TEXTS, max_size=3).map(tuple),
    required=st.booleans(),
    description=TEXTS,
    options=st.lists(st.builds(FieldOption, value=TEXTS, label=TEXTS) | TEXTS, max_size=8).map(
        tuple
    ),
)  # fmt: skip
CONTEXTS = st.builds(
    AgentContext,
    route=st.text(max_size=30_000),
    title=TEXTS,
    step=st.none() | st.integers(1, 99),
    elements=st.lists(FIELDS, max_size=30).map(tuple),
)


@given(CONTEXTS)
def test_the_attribute_is_bounded_and_loses_descriptions_options_and_last_fields_in_order(
    context: AgentContext,
) -> None:
    text = context.to_attribute()
    assert len(text.encode()) <= CONTEXT_BYTES
    if text == "":
        assert context == AgentContext()
        return
    told = msgspec.json.decode(text, type=AgentContext)
    if told == context:
        return
    assert told.truncated
    assert not any(one.description for one in told.elements)
    if len(told.elements) < len(context.elements):
        assert not any(one.options for one in told.elements)
    for one, whole in zip(told.elements, context.elements, strict=False):
        kept = msgspec.structs.replace(whole, description="", options=one.options)
        assert one == kept
        assert one.options in ((), whole.options)
