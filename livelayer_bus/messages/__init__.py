"""What travels on the data channel: typed messages in both directions, their codec, raw ones."""

# isort: off
from .agent_context import (
    CONTEXT_BYTES, AgentContext, ContextField, ContextFieldKind, FieldOption, FieldValue,
)  # fmt: skip
from .base import (
    ALL, Capability, Command, CommandTool, FromAgent, RawMessage, ToAgent, WireMessage,
    check_capabilities,
)  # fmt: skip
from .codec import (
    COMMANDS, FROM_AGENT, MAX_DEPTH, TO_AGENT, Decoded, Message, by_type, capability_of, decode,
    encode, is_command, message_type, nests_too_deeply, read, request_id, type_of,
)  # fmt: skip
from .from_agent import (
    AdvanceStep, AgentCaption, AgentError, AgentFalseInterruption, AgentState, AgentStateMessage,
    AgentToolCall, AgentTurnEnded, AgentUsage, ApprovalWithdrawn, AvatarActive, AvatarIdle,
    AvatarStreamReady, BotReady, Click, FieldSource, FillForm, FocusField, GoBack, IdleTimeout,
    IdleWarning, ModelUsage, Navigate, RequestApproval, RequestPageContext, RequestRoutes,
    ScrollDirection, ScrollPage, ScrollTo, SubmitFlow, SubmitForm, TaskCompleted, TaskFieldUpdated,
    TaskResult, ToolStatus, href_problem,
)  # fmt: skip
from .to_agent import (
    MAX_ROUTES, CommandResult, FormSubmitBlocked, FormSubmitted, FormSubmitUncertain, Interrupt,
    PageContext, PageContextPending, PageScreenshot, RefusalReason, Routes, UserMessage,
)  # fmt: skip
# isort: on

__all__ = [
    # The codec
    "encode", "decode", "read", "Decoded", "type_of", "message_type", "request_id", "by_type",
    "is_command", "href_problem", "MAX_ROUTES",
    # Capabilities
    "Capability", "ALL", "capability_of", "check_capabilities",
    # Kinds
    "Message", "FromAgent", "ToAgent", "Command", "CommandTool", "FROM_AGENT", "TO_AGENT",
    "COMMANDS", "WireMessage", "RawMessage",
    # From the agent
    "AgentState", "AgentStateMessage", "AvatarStreamReady", "AvatarActive", "AvatarIdle",
    "BotReady", "AgentError", "IdleWarning", "IdleTimeout", "AgentCaption", "Navigate", "ScrollTo",
    "ScrollPage", "ScrollDirection", "Click", "AdvanceStep", "GoBack", "SubmitFlow", "FillForm",
    "FocusField", "SubmitForm", "RequestPageContext", "RequestRoutes", "TaskFieldUpdated",
    "FieldSource", "TaskCompleted", "TaskResult", "AgentToolCall", "ToolStatus", "AgentTurnEnded",
    "AgentFalseInterruption", "AgentUsage", "ModelUsage", "RequestApproval", "ApprovalWithdrawn",
    # To the agent
    "UserMessage", "Interrupt", "PageContext", "PageContextPending", "Routes", "FormSubmitted",
    "FormSubmitBlocked", "FormSubmitUncertain", "PageScreenshot", "CommandResult", "RefusalReason",
    "MAX_DEPTH", "nests_too_deeply",
    # The attribute `agent.context`
    "AgentContext", "ContextField", "ContextFieldKind", "FieldOption", "FieldValue",
    "CONTEXT_BYTES",
]  # fmt: skip
