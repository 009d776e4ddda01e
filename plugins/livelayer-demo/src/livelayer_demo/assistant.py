"""The agent for real models: the guide as instructions; the page's tools come with the bridge."""

from __future__ import annotations

from typing import Final

from livekit.agents import Agent

from . import guide
from .topics import NAME

_INSTRUCTIONS: Final = f"""You are {NAME}, the friendly voice guide of livelayer-bus, a Python
library that keeps one live agent session and shares it with any number of surfaces (web pages,
terminals, recorders) that mount and unmount while the session runs. Answer in one or two short
spoken sentences, without lists or markup. Use the tools when you are asked to do something on the
page, and report truthfully what they say became of it. The page has one form, {guide.FORM_ID!r},
with a field 'name'."""


class AssistantAgent(Agent):
    """An agent whose model may do to the page what the surfaces let it."""

    def __init__(self) -> None:
        super().__init__(instructions=_INSTRUCTIONS)
