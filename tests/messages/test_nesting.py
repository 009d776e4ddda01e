"""The depth of JSON text is found exactly, in time that grows with its length alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from livelayer_bus.messages import nests_too_deeply

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\/a'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\'), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_the_depth_of_sound_json_is_exact(value: Any) -> None:
    depth = _depth(value)
    text = json.dumps(value)
    assert not nests_too_deeply(text, depth)
    assert depth == 0 or nests_too_deeply(text, depth - 1)


@given(st.text(alphabet='[]{}"\\a\n'), st.integers(0, 5))
def test_text_that_is_no_json_is_judged_too(text: str, limit: int) -> None:
    assert nests_too_deeply(text, limit) in (True, False)
    assert nests_too_deeply("[" * (limit + 1) + text, limit)


def test_an_open_text_full_of_quotes_is_read_once() -> None:
    # Read again from each quote, this would take hours.
    assert not nests_too_deeply("[]" * 101 + '"' + '\\"' * 500_000)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
