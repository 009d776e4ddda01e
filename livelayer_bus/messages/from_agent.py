"""What an agent says to a surface: its state, its commands, and the fields it collects."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from .base import WireMessage
from .href import href_problem

AgentState: TypeAlias = Literal["idle", "listening", "thinking", "speaking"]

ScrollDirection: TypeAlias = Literal["up", "down", "top", "bottom"]
FieldSource: TypeAlias = Literal["agent", "slide", "page"]

# The agent's state --------------------------------------------------------------------------


class AgentStateMessage(WireMessage, frozen=True, tag="agent_state"):
    """What the agent is doing."""

    state: AgentState


class AvatarStreamReady(WireMessage, frozen=True, tag="avatar_stream_ready"):
    """The avatar's video can be shown."""


class AvatarActive(WireMessage, frozen=True, tag="avatar_active"):
    """The avatar is live."""


class AvatarIdle(WireMessage, frozen=True, tag="avatar_idle"):
    """The avatar rests; the idle loop may be shown in its place."""


class BotReady(WireMessage, frozen=True, tag="bot_ready"):
    """The agent is ready to talk."""


class AgentError(WireMessage, frozen=True, tag="agent_error"):
    """The agent failed."""

    message: str | None = None


class IdleWarning(WireMessage, frozen=True, tag="idle_warning"):
    """Nobody spoke for a while; the agent will leave soon."""


class IdleTimeout(WireMessage, frozen=True, tag="idle_timeout"):
    """The agent leaves because nobody spoke."""


# Commands -----------------------------------------------------------------------------------


class Navigate(WireMessage, frozen=True, tag="navigate"):
    """Go to an address: http, https or relative.

    Raises:
        MalformedMessageError: `href` is anything else.
    """

    href: str

    def __post_init__(self) -> None:
        self._require_text(href=self.href)
        self._refuse(href_problem(self.href))


class ScrollTo(WireMessage, frozen=True, tag="scroll_to"):
    """Bring an element into view."""

    selector: str
    behavior: Literal["smooth", "instant", "auto"] | None = None

    def __post_init__(self) -> None:
        self._require_text(selector=self.selector)


class ScrollPage(WireMessage, frozen=True, tag="scroll_page"):
    """Scroll the page one step, or to an end."""

    direction: ScrollDirection
    behavior: Literal["smooth", "instant"] | None = None


class Click(WireMessage, frozen=True, tag="click"):
    """Click an element."""

    selector: str

    def __post_init__(self) -> None:
        self._require_text(selector=self.selector)


class FillForm(WireMessage, frozen=True, tag="fill_form"):
    """Put values into a form's fields, by name; nothing is submitted."""

    form_id: str
    values: dict[str, str]

    def __post_init__(self) -> None:
        self._require_text(formId=self.form_id)


class FocusField(WireMessage, frozen=True, tag="focus_field"):
    """Put the cursor into a form's field."""

    form_id: str
    field_name: str

    def __post_init__(self) -> None:
        self._require_text(formId=self.form_id, fieldName=self.field_name)


class SubmitForm(WireMessage, frozen=True, tag="submit_form"):
    """Submit a form; answered by `form_submitted` or `form_submit_blocked`."""

    form_id: str
    request_id: str | None = None

    def __post_init__(self) -> None:
        self._require_text(formId=self.form_id)


class RequestPageContext(WireMessage, frozen=True, tag="request_page_context"):
    """Ask what is on the page; answered by `page_context`."""

    request_id: str | None = None


class RequestRoutes(WireMessage, frozen=True, tag="request_routes"):
    """Ask where the surface can go; answered by `routes`."""

    request_id: str | None = None


# Collected fields ---------------------------------------------------------------------------


class TaskFieldUpdated(WireMessage, frozen=True, kw_only=True, tag="task_field_updated"):
    """One field of the running task has a new value (any JSON value)."""

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


class TaskCompleted(WireMessage, frozen=True, tag="task_completed"):
    """The running task is finished."""

    result: TaskResult


Command: TypeAlias = (
    Navigate
    | ScrollTo
    | ScrollPage
    | Click
    | FillForm
    | FocusField
    | SubmitForm
    | RequestPageContext
    | RequestRoutes
    | TaskFieldUpdated
    | TaskCompleted
)
"""What a surface carries out only if it holds the capability."""

AgentMessage: TypeAlias = (
    AgentStateMessage
    | AvatarStreamReady
    | AvatarActive
    | AvatarIdle
    | BotReady
    | AgentError
    | IdleWarning
    | IdleTimeout
    | Command
)
"""Every known message from an agent to a surface."""
