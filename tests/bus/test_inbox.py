"""The inbox: bounded, counted, in order, one scheduled call for any number of items."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from livelayer_bus.bus.inbox import Inbox

Call = Callable[[], object]


class Loop:
    """Runs posted calls on request; refuses them while it does not run."""

    def __init__(self) -> None:
        self.runs = True
        self.posted: list[Call] = []

    def post(self, call: Call) -> bool:
        if self.runs:
            self.posted.append(call)
        return self.runs

    def turn(self) -> None:
        calls, self.posted = self.posted, []
        for call in calls:
            call()


def test_one_call_takes_everything_that_waits_in_order() -> None:
    loop, taken = Loop(), list[int]()
    inbox = Inbox(taken.append, loop.post, 4)
    assert all(inbox.put(n) for n in range(3))
    assert (len(loop.posted), inbox.waiting, taken) == (1, 3, [])
    loop.turn()
    assert (loop.posted, inbox.waiting, taken) == ([], 0, [0, 1, 2])
    inbox.put(3)
    loop.turn()
    assert taken == [0, 1, 2, 3]


def test_a_full_inbox_refuses_and_counts_but_takes_what_is_required() -> None:
    loop, taken = Loop(), list[int]()
    inbox = Inbox(taken.append, loop.post, 2)
    assert [inbox.put(n) for n in range(3)] == [True, True, False]
    assert inbox.put(9, required=True)
    assert inbox.refused == 1
    loop.turn()
    assert taken == [0, 1, 9]
    assert inbox.put(4)


def test_items_wait_for_the_first_loop() -> None:
    loop, taken = Loop(), list[int]()
    loop.runs = False
    inbox = Inbox(taken.append, loop.post, 4)
    assert inbox.put(1)
    loop.runs = True
    inbox.schedule()
    loop.turn()
    assert taken == [1]
    inbox.schedule()
    assert loop.posted == []  # nothing waits


def test_an_item_whose_take_raises_does_not_hold_up_the_others() -> None:
    loop, taken = Loop(), list[int]()

    def take(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        taken.append(item)

    inbox = Inbox(take, loop.post, 4)
    for n in range(3):
        inbox.put(n)
    with pytest.raises(ValueError, match="one"):
        loop.turn()
    loop.turn()
    assert taken == [0, 2]


def test_what_is_put_during_a_drain_waits_for_the_next_turn() -> None:
    loop, taken = Loop(), list[int]()

    def take(item: int) -> None:
        taken.append(item)
        inbox.put(item + 1)

    inbox = Inbox(take, loop.post, 4)
    inbox.put(0)
    for _ in range(3):
        loop.turn()
    assert taken == [0, 1, 2]


def test_a_closed_inbox_drops_and_counts_what_waits() -> None:
    loop, taken = Loop(), list[int]()

    def take(item: int) -> None:
        taken.append(item)
        inbox.close()

    inbox = Inbox(take, loop.post, 4)
    for n in range(3):
        inbox.put(n)
    loop.turn()
    assert taken == [0]
    assert not inbox.put(3, required=True)
    assert (inbox.waiting, inbox.refused) == (0, 3)
