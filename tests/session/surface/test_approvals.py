"""What the agent asks a person: on every surface, answered once, by whoever is first."""

from __future__ import annotations

import random

import pytest

from livelayer_bus.errors import RefusedError
from livelayer_bus.events import (
    ApprovalOutcome,
    ApprovalRequested,
    ApprovalSettled,
    CommandRefused,
    RefusalReason,
)
from livelayer_bus.messages import ApprovalWithdrawn, CommandResult, RequestApproval
from livelayer_bus.session import Session
from livelayer_bus.session.commands import MAX_WAITING
from livelayer_bus.surfaces import SurfaceSession
from livelayer_bus.testing import ManualClock, ScriptedRoom, settle

from .kit import idle, result

pytestmark = pytest.mark.anyio
PAY = RequestApproval("Pay 20 euros?", "To Acme.", seconds=30.0, request_id="r1")


class Asked:
    """A surface that a test answers on."""

    def __init__(self) -> None:
        self.session: SurfaceSession | None = None

    async def run(self, session: SurfaceSession) -> None:
        self.session = session
        await idle(session)

    async def answer(self, number: int, *, approved: bool) -> bool:
        assert self.session is not None
        return await self.session.answer_approval(number, approved=approved)


def waiting(session: Session) -> int:
    return len(session.state.approvals)


@pytest.fixture
async def surfaces(session: Session, room: ScriptedRoom) -> tuple[Asked, Asked]:
    panel, bar = Asked(), Asked()
    session.mount(panel, key="panel", capabilities=["ask_approval"])
    session.mount(bar, key="bar", capabilities=["ask_approval"])
    await settle()
    return panel, bar


@pytest.mark.parametrize("approved", [True, False])
async def test_the_first_surface_that_answers_settles_it_for_all(
    session: Session, room: ScriptedRoom, surfaces: tuple[Asked, Asked], approved: bool
) -> None:
    panel, bar = surfaces
    with session.subscribe(ApprovalRequested, ApprovalSettled) as events:
        room.agent_says(PAY)
        asked = ApprovalRequested(1, "Pay 20 euros?", "To Acme.", 30.0, "r1")
        assert list(session.state.approvals) == [asked]
        assert await bar.answer(1, approved=approved)
        assert not await panel.answer(1, approved=not approved)
        assert not await session.answer_approval(1, approved=not approved)
        outcome: ApprovalOutcome = "approved" if approved else "declined"
        heard = [await anext(events) for _ in range(events.lag)]
    assert heard == [asked, ApprovalSettled(1, outcome, "bar")]
    assert waiting(session) == 0
    reason: RefusalReason | None = None if approved else "declined"
    assert await result(room) == CommandResult(
        command="request_approval", ok=approved, reason=reason, request_id="r1", surface="bar"
    )
    await settle()
    assert len(room.sent) == 1


async def test_without_an_answer_it_times_out(
    session: Session, room: ScriptedRoom, surfaces: tuple[Asked, Asked], manual_clock: ManualClock
) -> None:
    room.agent_says(PAY)
    await manual_clock.wait_for_sleepers()
    await manual_clock.elapse(29.9)
    assert waiting(session) == 1
    await manual_clock.elapse(0.1)
    answer = await result(room)
    assert (answer.ok, answer.reason, answer.request_id) == (False, "timeout", "r1")
    assert waiting(session) == 0
    assert not await surfaces[0].answer(1, approved=True)


async def test_no_surface_that_may_be_asked_is_a_refusal(
    session: Session, room: ScriptedRoom
) -> None:
    panel = Asked()
    session.mount(panel, key="panel", capabilities=["navigate"])
    await settle()
    with session.subscribe(CommandRefused) as refusals:
        room.agent_says(PAY)
        assert (await anext(refusals)).reason == "capability"
    answer = await result(room)
    assert (answer.ok, answer.reason, answer.request_id) == (False, "capability", "r1")
    with pytest.raises(RefusedError, match=r"'panel'.*ask_approval"):
        await panel.answer(1, approved=True)


async def test_an_agent_that_withdraws_it_or_leaves_gets_no_answer(
    session: Session, room: ScriptedRoom, surfaces: tuple[Asked, Asked], manual_clock: ManualClock
) -> None:
    room.agent_says(PAY)
    with session.subscribe(ApprovalSettled) as settled:
        room.agent_says(ApprovalWithdrawn("r1"))
        room.agent_says(ApprovalWithdrawn("never asked"))
        heard = [await anext(settled) for _ in range(settled.lag)]
    assert heard == [ApprovalSettled(1, "withdrawn")]
    room.agent_says(PAY)
    room.agent_leaves()
    assert waiting(session) == 0
    await manual_clock.elapse(60)
    assert not await surfaces[0].answer(2, approved=True)
    assert room.sent == ()


async def test_a_question_is_asked_once_and_there_are_not_too_many(
    session: Session, room: ScriptedRoom, surfaces: tuple[Asked, Asked]
) -> None:
    room.agent_says(PAY)
    room.agent_says(PAY)
    assert waiting(session) == 1
    for number in range(MAX_WAITING):
        room.agent_says(RequestApproval("And this?", request_id=f"more {number}"))
    assert waiting(session) == MAX_WAITING
    answer = await result(room)
    assert (answer.reason, answer.request_id) == ("failed", f"more {MAX_WAITING - 1}")


async def test_other_participants_cannot_ask(
    session: Session, room: ScriptedRoom, surfaces: tuple[Asked, Asked]
) -> None:
    room.packet(b'{"type":"request_approval","question":"Pay?"}', sender="a-person")
    assert waiting(session) == 0
    await settle()
    assert room.sent == ()


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_comes_first_each_question_has_one_outcome(
    session: Session,
    room: ScriptedRoom,
    surfaces: tuple[Asked, Asked],
    manual_clock: ManualClock,
    seed: int,
) -> None:
    choose = random.Random(seed)
    asked: dict[str, int] = {}
    first: dict[str, tuple[bool, str | None]] = {}
    silent: set[str] = set()
    with session.subscribe(ApprovalSettled) as settled:
        for step in range(150):
            shown = session.state.approvals
            number = choose.choice(shown).number if shown and choose.random() < 0.8 else step
            request = next((one.request_id for one in shown if one.number == number), None)
            match choose.randrange(6):
                case 0 | 1:
                    name = f"r{step}"
                    room.agent_says(
                        RequestApproval("Go?", seconds=choose.randint(1, 9), request_id=name)
                    )
                    asked[name] = step
                case 2 | 3:
                    approved, which = choose.random() < 0.5, choose.randrange(2)
                    took = await surfaces[which].answer(number, approved=approved)
                    assert took == (request is not None)
                    if request is not None:
                        first[request] = approved, None if approved else "declined"
                case 4 if request is not None:
                    room.agent_says(ApprovalWithdrawn(request))
                    silent.add(request)
                case _:
                    await manual_clock.elapse(choose.choice([0.5, 1.0, 3.0]))
        await manual_clock.elapse(10)
        outcomes = [await anext(settled) for _ in range(settled.lag)]
    assert waiting(session) == 0
    assert len({one.number for one in outcomes}) == len(outcomes)
    await settle()
    results = [packet.message for packet in room.sent]
    answers = {one.request_id: one for one in results if isinstance(one, CommandResult)}
    assert len(answers) == len(results)
    assert answers.keys() == asked.keys() - silent
    for name, expected in first.items():
        assert (answers[name].ok, answers[name].reason) == expected
    assert {answers[name].reason for name in answers.keys() - first.keys()} <= {"timeout", "failed"}
