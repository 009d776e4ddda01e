"""Each known message has exactly the bytes that a file here shows, and is read back from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from livelayer_bus import messages as m

GOLDEN = Path(__file__).parent / "golden"
EXPECTED: dict[str, m.Message] = {
    "agent_state": m.AgentStateMessage("thinking"),
    "avatar_stream_ready": m.AvatarStreamReady(),
    "avatar_active": m.AvatarActive(),
    "avatar_idle": m.AvatarIdle(),
    "bot_ready": m.BotReady(),
    "agent_error": m.AgentError("the model is away"),
    "agent_error.minimal": m.AgentError(),
    "idle_warning": m.IdleWarning(),
    "idle_timeout": m.IdleTimeout(),
    "agent_caption": m.AgentCaption("Grüße", "c1", final=False),
    "agent_caption.minimal": m.AgentCaption("Hello"),
    "navigate": m.Navigate("/pricing?plan=team#faq"),
    "scroll_to": m.ScrollTo("#faq", "smooth"),
    "scroll_to.minimal": m.ScrollTo("#faq"),
    "scroll_page": m.ScrollPage("bottom", "instant"),
    "scroll_page.minimal": m.ScrollPage("up"),
    "click": m.Click('button[name="go"]'),
    "advance_step": m.AdvanceStep(),
    "go_back": m.GoBack(),
    "submit_flow": m.SubmitFlow(),
    "fill_form": m.FillForm("signup", {"name": "Grüße", "e-mail": "a@b.example"}),
    "focus_field": m.FocusField("signup", "name"),
    "submit_form": m.SubmitForm("signup", "r1"),
    "submit_form.minimal": m.SubmitForm("signup"),
    "request_page_context": m.RequestPageContext("r2"),
    "request_page_context.minimal": m.RequestPageContext(),
    "request_routes": m.RequestRoutes("r3"),
    "request_routes.minimal": m.RequestRoutes(),
    "task_field_updated": m.TaskFieldUpdated(
        field_id="f1",
        field_name="budget",
        value={"amount": 5, "currency": "EUR"},
        kind="money",
        source="slide",
        slide_id="s1",
        form_id="lead",
    ),
    "task_field_updated.minimal": m.TaskFieldUpdated(
        field_id="f1", field_name="agreed", value=False, kind="bool", source="agent"
    ),
    "task_completed": m.TaskCompleted(
        m.TaskResult(
            session_id="ses_1",
            started_at="2026-11-23T10:00:00Z",
            ended_at=1795428060000,
            source="agent",
            results={"budget": 5, "tags": ["a", None]},
            summary="All known.",
        )
    ),
    "task_completed.minimal": m.TaskCompleted(
        m.TaskResult(
            session_id="ses_1",
            started_at=1795428000.5,
            ended_at=1795428060,
            source="page",
            results={},
        )
    ),
    "user_message": m.UserMessage("go to pricing"),
    "page_context": m.PageContext(
        {"title": "Home", "headings": ["Welcome"]}, request_id="r2", truncated=True
    ),
    "page_context.minimal": m.PageContext("Home"),
    "page_context_pending": m.PageContextPending(),
    "routes": m.Routes(
        ("/", "/pricing", {"path": "/faq", "title": "Questions"}), request_id="r3", truncated=True
    ),
    "routes.minimal": m.Routes(()),
    "form_submitted": m.FormSubmitted("signup", "r1"),
    "form_submitted.minimal": m.FormSubmitted("signup"),
    "form_submitted.reason": m.FormSubmitted("signup", "r1", "success_text"),
    "form_submit_blocked.fields": m.FormSubmitBlocked(
        "signup", "validation", "r1", ("Name: is required",)
    ),
    "form_submit_uncertain": m.FormSubmitUncertain("signup", "spa_prevented", "r1"),
    "form_submit_uncertain.minimal": m.FormSubmitUncertain("signup", "spa_prevented"),
    "form_submit_blocked": m.FormSubmitBlocked("signup", "validation", "r1"),
    "form_submit_blocked.minimal": m.FormSubmitBlocked("signup", "exception"),
    "agent_tool_call": m.AgentToolCall(
        call_id="c1",
        name="look_up_order",
        status="done",
        arguments='{"number": 7}',
        message="on its way",
    ),
    "agent_tool_call.minimal": m.AgentToolCall(call_id="c1", name="look_up", status="started"),
    "agent_turn_ended": m.AgentTurnEnded("agent", interrupted=True),
    "agent_turn_ended.minimal": m.AgentTurnEnded("user"),
    "agent_false_interruption": m.AgentFalseInterruption(resumed=True),
    "agent_usage": m.AgentUsage((m.ModelUsage("llm", "acme", "big", {"input_tokens": 812}),)),
    "request_approval": m.RequestApproval("Pay 20 euros?", "To Acme.", 30.0, "r5"),
    "request_approval.minimal": m.RequestApproval("Pay 20 euros?"),
    "approval_withdrawn": m.ApprovalWithdrawn("r5"),
    "interrupt": m.Interrupt(),
    "command_result.declined": m.CommandResult(
        command="request_approval", ok=False, reason="declined", request_id="r5", surface="panel"
    ),
    "page_screenshot": m.PageScreenshot(
        "https://shots.example/1.png", "/plans", "route_change", "0f3c", "2026-11-29T10:00:00.000Z"
    ),
    "command_result": m.CommandResult(
        command="navigate", ok=False, reason="capability", request_id="r4", surface="panel"
    ),
    "command_result.minimal": m.CommandResult(command="click", ok=True),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_bytes_on_the_wire_are_exactly_these(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")
    assert m.encode(EXPECTED[name]) == golden
    assert m.decode(golden) == EXPECTED[name]


def test_every_known_message_and_every_file_is_tested() -> None:
    known = {cls.wire_type() for cls in (*m.FROM_AGENT, *m.TO_AGENT)}
    assert {name.partition(".")[0] for name in EXPECTED} == known
    assert {path.name.removesuffix(".json") for path in GOLDEN.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_fields_of_a_later_version_are_tolerated(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")
    later = golden[:-1] + b',"aFieldOfTomorrow":{"deep":[1]}}'
    assert m.decode(later) == EXPECTED[name]
