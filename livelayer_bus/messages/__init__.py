"""What travels on the data channel: typed messages of both sides, their codec, raw pass-through."""

from __future__ import annotations

from .base import RawMessage, WireMessage
from .capabilities import ALL, Capability, capability_of, check_capabilities
from .codec import Message, by_type, decode, encode, is_command, message_type, request_id
from .from_agent import (
    AgentError,
    AgentMessage,
    AgentState,
    AgentStateMessage,
    AvatarActive,
    AvatarIdle,
    AvatarStreamReady,
    BotReady,
    Click,
    Command,
    FieldSource,
    FillForm,
    FocusField,
    IdleTimeout,
    IdleWarning,
    Navigate,
    RequestPageContext,
    RequestRoutes,
    ScrollDirection,
    ScrollPage,
    ScrollTo,
    SubmitForm,
    TaskCompleted,
    TaskFieldUpdated,
    TaskResult,
)
from .href import href_problem
from .json_depth import MAX_DEPTH, nests_too_deeply
from .to_agent import (
    MAX_ROUTES,
    CommandResult,
    FormSubmitBlocked,
    FormSubmitted,
    PageContext,
    PageContextPending,
    RefusalReason,
    Routes,
    SurfaceMessage,
    UserMessage,
)

__all__ = [
    # The codec
    "encode",
    "decode",
    "message_type",
    "request_id",
    "by_type",
    "is_command",
    "href_problem",
    "MAX_ROUTES",
    # Capabilities
    "Capability",
    "ALL",
    "capability_of",
    "check_capabilities",
    # Kinds
    "Message",
    "AgentMessage",
    "SurfaceMessage",
    "Command",
    "WireMessage",
    "RawMessage",
    # From the agent
    "AgentStateMessage",
    "AvatarStreamReady",
    "AvatarActive",
    "AvatarIdle",
    "BotReady",
    "AgentError",
    "IdleWarning",
    "IdleTimeout",
    "Navigate",
    "ScrollTo",
    "ScrollPage",
    "ScrollDirection",
    "Click",
    "FillForm",
    "FocusField",
    "SubmitForm",
    "RequestPageContext",
    "RequestRoutes",
    "TaskFieldUpdated",
    "FieldSource",
    "TaskCompleted",
    "TaskResult",
    # From a surface
    "UserMessage",
    "PageContext",
    "PageContextPending",
    "Routes",
    "FormSubmitted",
    "FormSubmitBlocked",
    "CommandResult",
    "RefusalReason",
    "AgentState",
    "MAX_DEPTH",
    "nests_too_deeply",
]
