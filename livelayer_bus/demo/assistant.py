"""The agent for real models: the same guide as instructions, the same commands as tools."""

from __future__ import annotations

from typing import Final

from livekit.agents import Agent, function_tool

from livelayer_bus.demo import guide
from livelayer_bus.demo.topics import NAME
from livelayer_bus.demo.wire import WireBridge

_INSTRUCTIONS: Final = f"""You are {NAME}, the friendly voice guide of livelayer-bus, a Python
library that keeps one live agent session and shares it with any number of surfaces (web pages,
terminals, recorders) that mount and unmount while the session runs. Answer in one or two short
spoken sentences, without lists or markup. Use the tools when you are asked to do something on the
page, and report truthfully what they say became of it."""


class AssistantAgent(Agent):
    """An agent whose model may act on the page through the wire bridge."""

    def __init__(self, bridge: WireBridge) -> None:
        super().__init__(instructions=_INSTRUCTIONS)
        self._bridge = bridge

    @function_tool
    async def navigate(self, href: str) -> str:
        """Go to a page of the site.

        Args:
            href: The page's path, for example /pricing.
        """
        return await self._do(
            guide.Act("navigate", {"href": href}, "Done.", "go to that page"),
        )

    @function_tool
    async def scroll_page(self, direction: str) -> str:
        """Scroll the page.

        Args:
            direction: One of up, down, top, bottom.
        """
        fields = {"direction": direction, "behavior": "smooth"}
        return await self._do(guide.Act("scroll_page", fields, "Done.", "scroll"))

    @function_tool
    async def fill_in_name(self, name: str) -> str:
        """Write the user's name into the contact form.

        Args:
            name: The name as the user said it.
        """
        fields = {"formId": guide.FORM_ID, "values": {"name": name}}
        return await self._do(guide.Act("fill_form", fields, "Done.", "fill in the form"))

    @function_tool
    async def read_page(self) -> str:
        """Find out what the page shows now."""
        outcome, context = await self._bridge.page_context()
        if outcome is guide.Outcome.DONE:
            return guide.page_text(context)
        return guide.page_outcome_text(outcome)

    async def _do(self, act: guide.Act) -> str:
        outcome = await self._bridge.command(act.command, act.fields)
        return guide.outcome_text(act, outcome)
