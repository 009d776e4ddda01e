"""Room names: recognised by their endpoint and the caller they were given to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelayer_web.endpoint.room_names import RoomNames

NAMES = RoomNames("secret" * 6)


@given(st.text(), st.text(), st.integers(0, 2**39))
def test_a_name_tells_when_it_was_given(agent: str, caller: str, now: int) -> None:
    agent, caller = (text.encode("utf-8", "ignore").decode() for text in (agent, caller))
    name = NAMES.new(agent, caller, now + 0.5)
    assert NAMES.issued(name, agent, caller) == now
    assert len(name) < 64


def test_a_name_is_for_one_agent_and_one_caller_and_one_secret() -> None:
    name = NAMES.new("agent", "caller", 1000)
    assert NAMES.issued(name, "agent", "other") is None
    assert NAMES.issued(name, "other", "caller") is None
    assert NAMES.issued(name, "agentc", "aller") is None
    assert RoomNames("another" * 6).issued(name, "agent", "caller") is None
    assert RoomNames("secret" * 6).issued(name, "agent", "caller") == 1000


@given(st.data())
def test_a_name_that_was_changed_anywhere_is_forged(data: st.DataObject) -> None:
    name = NAMES.new("agent", "caller", 1000)
    place = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != name[place]))
    assert NAMES.issued(name[:place] + letter + name[place + 1 :], "agent", "caller") is None


@pytest.mark.parametrize("name", ["", "ll-", "ll-ä", "kitchen", "ll-" + "A" * 35, "ll-" + "=" * 50])
def test_other_names_are_forged(name: str) -> None:
    assert NAMES.issued(name, "agent", "caller") is None
