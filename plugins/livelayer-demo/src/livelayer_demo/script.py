"""The conversation that the demo plays when the user does not type: pure data."""

from __future__ import annotations

from typing import Final

import msgspec


class ScriptLine(msgspec.Struct, frozen=True):
    """One line of the user, and the offline guide's answer.

    `answer_has` are words in the agent's transcript afterwards, in lower case; `command`
    is the type of the data message that reaches the page, with `fields` among its fields;
    `listen_seconds` is about how long the whole answer takes to be heard.
    """

    text: str
    answer_has: tuple[str, ...]
    command: str | None = None
    fields: tuple[tuple[str, object], ...] = ()
    listen_seconds: float = 4.0


SCRIPT: Final[tuple[ScriptLine, ...]] = (
    ScriptLine("hello", ("hello", "lumi"), listen_seconds=3.5),
    ScriptLine(
        "go to pricing",
        ("let us go to pricing",),
        "navigate",
        (("href", "/pricing"),),
        4.0,
    ),
    ScriptLine(
        "what is a surface?", ("a surface is anything that shows a session",), None, (), 9.0
    ),
    ScriptLine(
        "scroll down",
        ("scrolling down",),
        "scroll_page",
        (("direction", "down"), ("behavior", "smooth")),
        4.0,
    ),
    ScriptLine("what is on this page?", ("let me have a look",), "request_page_context", (), 6.0),
    ScriptLine(
        "fill in my name Ada",
        ("i am writing ada into the form",),
        "fill_form",
        (("formId", "contact"), ("values", {"name": "Ada"})),
        5.0,
    ),
    ScriptLine("thank you", ("you are welcome",), None, (), 2.0),
)
"""The whole tour, about 35 seconds; its first lines make sense alone when time is short."""
