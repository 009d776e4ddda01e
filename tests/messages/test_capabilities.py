"""Every command needs exactly one capability; nothing else needs any."""

from __future__ import annotations

from typing import Any

import pytest

from livelayer_bus import messages as m
from livelayer_bus.errors import MisuseError
from livelayer_bus.messages import ALL, Capability, capability_of, check_capabilities

NEEDED: dict[str, Capability] = {
    "navigate": "navigate",
    "scroll_to": "scroll",
    "scroll_page": "scroll",
    "click": "click",
    "advance_step": "click",
    "go_back": "click",
    "submit_flow": "click",
    "fill_form": "fill_forms",
    "focus_field": "fill_forms",
    "submit_form": "submit_forms",
    "request_page_context": "read_page",
    "request_routes": "read_page",
    "task_field_updated": "collect_data",
    "task_completed": "collect_data",
    "request_approval": "ask_approval",
}


def test_each_command_needs_its_capability_and_other_messages_need_none() -> None:
    known = (*m.FROM_AGENT, *m.TO_AGENT)
    assert {
        cls.wire_type(): capability_of(cls.wire_type())
        for cls in known
        if capability_of(cls.wire_type())
    } == NEEDED
    assert {cls.wire_type() for cls in m.COMMANDS} == set(NEEDED)
    assert set(NEEDED.values()) == ALL


def test_a_message_is_judged_by_its_type_however_it_is_held() -> None:
    assert capability_of(m.Click("#a")) == "click"
    assert capability_of(m.RawMessage("click", {"selector": 5})) == "click"
    assert capability_of(m.RawMessage("task_invented")) == "collect_data"
    assert capability_of(m.RawMessage("invented")) is None
    assert capability_of(m.UserMessage("click")) is None


def test_only_commands_are_commands() -> None:
    assert m.is_command(m.Click("#a"))
    assert not m.is_command(m.BotReady())
    assert not m.is_command(m.RawMessage("click"))


def test_names_are_checked() -> None:
    assert check_capabilities([]) == frozenset()
    assert check_capabilities(iter(["click", "scroll", "click"])) == {"click", "scroll"}
    assert check_capabilities(ALL) == ALL


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["navigat"], "did you mean 'navigate'"),
        (["fill_form"], "did you mean 'fill_forms'"),
        (["click", "fly"], "valid: navigate, scroll, click"),
        ("click", "give a list"),
        ([5], "5 is not a capability"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(names: Any, words: str) -> None:
    with pytest.raises(MisuseError, match=words):
        check_capabilities(names)
