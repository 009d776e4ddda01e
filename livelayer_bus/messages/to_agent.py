"""Messages to the agent: typed text, the page that a surface shows, and how commands ended."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from .base import ToAgent

RefusalReason: TypeAlias = Literal["capability", "invalid", "failed", "timeout", "declined"]

MAX_ROUTES = 200  # entries that one `routes` message may carry


class UserMessage(ToAgent, frozen=True, tag="user_message"):
    """What the user typed; `id` names its line in the transcript."""

    text: str
    id: str | None = None


class Interrupt(ToAgent, frozen=True, tag="interrupt"):
    """Stop speaking; an agent's bridge does, unless the speech does not allow it."""


class PageContext(ToAgent, frozen=True, tag="page_context"):
    """What is on the page (any JSON value); `truncated` when it was cut to fit one packet."""

    context: Any
    request_id: str | None = None
    truncated: bool = False


class PageContextPending(ToAgent, frozen=True, tag="page_context_pending"):
    """The page is still loading; its context follows."""


class Routes(ToAgent, frozen=True, tag="routes"):
    """Where the surface can go, at most 200 entries; `truncated` when there are more.

    Raises:
        MalformedMessageError: more than 200 routes.
    """

    routes: tuple[str | dict[str, Any], ...]
    request_id: str | None = None
    truncated: bool = False

    def __post_init__(self) -> None:
        if len(self.routes) > MAX_ROUTES:
            self._refuse(f"{len(self.routes)} routes, at most {MAX_ROUTES} are allowed")


class FormSubmitted(ToAgent, frozen=True, tag="form_submitted"):
    """A form was submitted; `reason` is how a page that sends it by script showed so."""

    form_id: str
    request_id: str | None = None
    reason: Literal["form_removed", "form_reset", "success_text"] | None = None


class FormSubmitBlocked(ToAgent, frozen=True, tag="form_submit_blocked"):
    """A form was not submitted: it did not validate, or its code raised.

    `invalid_fields` has a line for each wrong field, "Label: message", never its value.
    """

    form_id: str
    reason: Literal["validation", "exception"]
    request_id: str | None = None
    invalid_fields: tuple[str, ...] = ()


class FormSubmitUncertain(ToAgent, frozen=True, tag="form_submit_uncertain"):
    """A script took the form over, and the page did not show what became of it."""

    form_id: str
    reason: Literal["spa_prevented"]
    request_id: str | None = None


class PageScreenshot(ToAgent, frozen=True, tag="page_screenshot"):
    """A picture of the page, which the application uploaded to `url`.

    `hash` is the same for pictures that look the same; `captured_at` is a time in ISO 8601.
    """

    url: str
    route: str
    reason: Literal["flow_start", "route_change", "step_change"]
    hash: str
    captured_at: str


class CommandResult(ToAgent, frozen=True, kw_only=True, tag="command_result"):
    """How one command ended; `surface` is the key of the surface that received it.

    `declined`: a person refused it.
    """

    command: str
    ok: bool
    reason: RefusalReason | None = None
    request_id: str | None = None
    surface: str | None = None
