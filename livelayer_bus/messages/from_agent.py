"""Messages from the agent: its state, its commands, and the fields it collects.

A command is one class here, from which everything else in Python follows: see `Command`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from .base import Command, CommandTool, FromAgent

AgentState: TypeAlias = Literal["idle", "listening", "thinking", "speaking"]
ScrollDirection: TypeAlias = Literal["up", "down", "top", "bottom"]
FieldSource: TypeAlias = Literal["agent", "slide", "page"]
ToolStatus: TypeAlias = Literal["started", "updated", "done", "error", "cancelled"]

_Selector: TypeAlias = Annotated[str, Meta(description="The element's CSS selector.")]
_FormId: TypeAlias = Annotated[str, Meta(description="The form's id.")]

# The agent's state --------------------------------------------------------------------------


class AgentStateMessage(FromAgent, frozen=True, tag="agent_state"):
    """What the agent is doing."""

    state: AgentState


class AvatarStreamReady(FromAgent, frozen=True, tag="avatar_stream_ready"):
    """The avatar's video can be shown."""


class AvatarActive(FromAgent, frozen=True, tag="avatar_active"):
    """The avatar is live."""


class AvatarIdle(FromAgent, frozen=True, tag="avatar_idle"):
    """The avatar is still; a surface may show its idle loop instead."""


class BotReady(FromAgent, frozen=True, tag="bot_ready"):
    """The agent is ready to talk."""


class AgentError(FromAgent, frozen=True, tag="agent_error"):
    """The agent failed."""

    message: str | None = None


class IdleWarning(FromAgent, frozen=True, tag="idle_warning"):
    """The user has been silent; the agent will leave soon."""


class IdleTimeout(FromAgent, frozen=True, tag="idle_timeout"):
    """The agent leaves because the user stayed silent."""


class AgentCaption(FromAgent, frozen=True, tag="agent_caption"):
    """What the agent says, as one line of the transcript.

    A later caption of the same `id` replaces it; one without an id is a line of its own.
    """

    text: str
    id: str | None = None
    final: bool = True


# What the agent is doing --------------------------------------------------------------------


class AgentToolCall(FromAgent, frozen=True, kw_only=True, tag="agent_tool_call"):
    """A tool of the agent was called, reports progress, or ended.

    `arguments` (JSON) and `message` (progress, result or error) only if the agent shares them.
    """

    call_id: str
    name: str
    status: ToolStatus
    arguments: str | None = None
    message: str | None = None


class AgentTurnEnded(FromAgent, frozen=True, tag="agent_turn_ended"):
    """The user, or the agent, has finished what they were saying."""

    role: Literal["agent", "user"]
    interrupted: bool = False


class AgentFalseInterruption(FromAgent, frozen=True, tag="agent_false_interruption"):
    """The agent stopped for a sound that was not speech; `resumed`: it speaks on."""

    resumed: bool


class ModelUsage(msgspec.Struct, frozen=True):
    """What one model has used so far, such as `{"input_tokens": 812}`."""

    kind: str
    provider: str
    model: str
    counts: dict[str, int | float]


class AgentUsage(FromAgent, frozen=True, tag="agent_usage"):
    """What the agent's models have used since the conversation began."""

    models: tuple[ModelUsage, ...]


# Commands -----------------------------------------------------------------------------------


def href_problem(href: str) -> str | None:
    """Why a surface may not be sent to the address, without quoting it; None when it is fine.

    Fine are http, https and relative ones. What a browser would read differently from how it looks
    is refused too: backslashes count as slashes there, tabs and line breaks are dropped, `//host`
    leaves the site, and a user name before an `@` can pass for a host.
    """
    if not href:
        return "href is empty"
    if href != href.strip():
        return "href begins or ends with white space"
    if not href.isprintable():
        return "href holds control or invisible characters"
    if "\\" in href:
        return "href holds a backslash, which browsers read as a slash"
    if href.startswith("//"):
        return "href names a host without a scheme; write https:// before it"
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href)
    if scheme is None:
        return None
    if scheme.group().lower() not in ("http:", "https:"):
        return "href has a scheme other than http and https"
    rest = href[scheme.end() :]
    with suppress(ValueError):
        if rest.startswith("//") and urlsplit(href).hostname:
            authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0]
            return "href names a user before its host" if "@" in authority else None
    return "href has a scheme but no host"


class Navigate(Command, frozen=True, tag="navigate"):
    """Go to an address: http, https or relative.

    Raises:
        MalformedMessageError: `href` is anything else.
    """

    capability = "navigate"
    filled = ("href",)
    tool = CommandTool("Take the user to another page.")

    href: Annotated[
        str, Meta(description="A path of this site such as /pricing, or an http or https address.")
    ]

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse(href_problem(self.href))


class ScrollTo(Command, frozen=True, tag="scroll_to"):
    """Bring an element into view."""

    capability = "scroll"
    filled = ("selector",)
    tool = CommandTool("Bring one element of the page into view.", fixed={"behavior": "smooth"})

    selector: _Selector
    behavior: Literal["smooth", "instant", "auto"] | None = None


class ScrollPage(Command, frozen=True, tag="scroll_page"):
    """Scroll the page one step, or to an end."""

    capability = "scroll"
    tool = CommandTool("Scroll the page one step, or to an end.", fixed={"behavior": "smooth"})

    direction: Annotated[
        ScrollDirection, Meta(description="up or down for a step, top or bottom for an end.")
    ]
    behavior: Literal["smooth", "instant"] | None = None


class Click(Command, frozen=True, tag="click"):
    """Click an element."""

    capability = "click"
    filled = ("selector",)
    tool = CommandTool("Click one element of the page.")

    selector: _Selector


class AdvanceStep(Command, frozen=True, tag="advance_step"):
    """Press the control that leads to the next step of the page, such as Continue."""

    capability = "click"
    tool = CommandTool("Go on to the next step of a page that has several, as its Continue does.")


class GoBack(Command, frozen=True, tag="go_back"):
    """Press the control that leads to the step before."""

    capability = "click"
    tool = CommandTool("Return to the step before on a page that has several, as its Back does.")


class SubmitFlow(Command, frozen=True, tag="submit_flow"):
    """Press the control that sends the page's steps off."""

    capability = "click"
    tool = CommandTool("Send off a page of one or several steps, once the user agreed.")


class FillForm(Command, frozen=True, tag="fill_form"):
    """Put values into a form's fields, by name; nothing is submitted."""

    capability = "fill_forms"
    filled = ("form_id",)
    tool = CommandTool("Write values into a form of the page; nothing is sent yet.")

    form_id: _FormId
    values: Annotated[
        dict[str, str], Meta(description="The names of the fields to fill, and what to write.")
    ]


class FocusField(Command, frozen=True, tag="focus_field"):
    """Put the cursor into a form's field."""

    capability = "fill_forms"
    filled = ("form_id", "field_name")
    tool = CommandTool("Put the user's cursor into a field of a form.")

    form_id: _FormId
    field_name: Annotated[str, Meta(description="The field's name.")]


class SubmitForm(Command, frozen=True, tag="submit_form"):
    """Submit a form; answered by `form_submitted`, `form_submit_blocked` or `..._uncertain`."""

    capability = "submit_forms"
    filled = ("form_id",)
    tool = CommandTool("Send a form off, once the user agreed.")

    form_id: _FormId
    request_id: str | None = None


class RequestPageContext(Command, frozen=True, tag="request_page_context"):
    """Ask what is on the page; answered by `page_context`."""

    capability = "read_page"
    tool = CommandTool("Find out what the user's page shows now.", name="read_page")

    request_id: str | None = None


class RequestRoutes(Command, frozen=True, tag="request_routes"):
    """Ask where the surface can go; answered by `routes`."""

    capability = "read_page"
    tool = CommandTool("Find out which pages the user can be taken to.", name="list_routes")

    request_id: str | None = None


class RequestApproval(Command, frozen=True, tag="request_approval"):
    """Ask a person for their approval, on every surface; the first answer counts.

    Raises:
        MalformedMessageError: `question` is empty.
    """

    capability = "ask_approval"
    filled = ("question",)

    question: str
    details: str | None = None
    seconds: Annotated[float, Meta(gt=0, le=600)] = 60.0
    request_id: str | None = None


class ApprovalWithdrawn(FromAgent, frozen=True, tag="approval_withdrawn"):
    """The agent does not wait for this approval any more."""

    request_id: str


# Collected fields ---------------------------------------------------------------------------


class TaskFieldUpdated(Command, frozen=True, kw_only=True, tag="task_field_updated"):
    """One field of the running task has a new value (any JSON value)."""

    capability = "collect_data"

    field_id: str
    field_name: str
    value: Any
    kind: str
    source: FieldSource
    slide_id: str | None = None
    form_id: str | None = None


class TaskResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What a finished task collected: `results` holds any JSON values by name."""

    session_id: str
    started_at: str | int | float
    ended_at: str | int | float
    source: str
    results: dict[str, Any]
    summary: str | None = None


class TaskCompleted(Command, frozen=True, tag="task_completed"):
    """The running task is finished."""

    capability = "collect_data"

    result: TaskResult
