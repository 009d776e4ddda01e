"""The guide's rules: what it answers, what it asks the page to do, and that it tells the truth."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.plugins.livelayer import Outcome
from livelayer_demo import SCRIPT
from livelayer_demo.guide import (
    Memory,
    ReadPage,
    Reply,
    Say,
    Send,
    notice_text,
    outcome_text,
    page_outcome_text,
    page_text,
    respond,
)
from livelayer_demo.topics import TOPICS

from livelayer_bus.messages import FormSubmitBlocked, FormSubmitted, FormSubmitUncertain


def spoken(reply: Reply) -> str:
    return " ".join(step.text for step in reply.steps if isinstance(step, Say))


def send_of(line: str, memory: Memory | None = None) -> Send:
    [send] = [step for step in respond(line, memory or Memory()).steps if isinstance(step, Send)]
    return send


@pytest.mark.parametrize("line", ["hello", "Hi!", "  hey there", "Good morning"])
def test_a_greeting_is_greeted(line: str) -> None:
    assert spoken(respond(line, Memory())).startswith("Hello")


@pytest.mark.parametrize(
    ("line", "href"),
    [
        ("go to pricing", "/pricing"),
        ("Please take me to the Pricing page!", "/pricing"),
        ("navigate to /docs/getting-started", "/docs/getting-started"),
        ("go home", "/"),
        ("go back to the home page", "/"),
        ("open the contact us page", "/contact-us"),
        ("go to pricing please", "/pricing"),
        ("go to https javascript alert", "/https-javascript-alert"),
        ("go to prices", "/pricing"),
        ("go to the docs", "/docs"),
        ("take me to the documentation", "/docs"),
        ("go to sign up", "/sign-up"),
        ("go to the sign-up form", "/sign-up"),
        ("open the signup page", "/sign-up"),
        ("go to the form", "/sign-up"),
    ],
)
def test_going_somewhere_navigates_to_a_path_of_the_site(line: str, href: str) -> None:
    send = send_of(line)
    assert (send.command, send.fields) == ("navigate", {"href": href})


@pytest.mark.parametrize(
    ("line", "direction"),
    [
        ("scroll down", "down"),
        ("scroll up a bit", "up"),
        ("Scroll to the top", "top"),
        ("could you scroll the page to the bottom?", "bottom"),
    ],
)
def test_scrolling_is_smooth_and_goes_where_it_was_asked_to(line: str, direction: str) -> None:
    send = send_of(line)
    assert send.command == "scroll_page"
    assert send.fields == {"direction": direction, "behavior": "smooth"}


@pytest.mark.parametrize(
    "line", ["what is on this page", "What's on the page?", "read this page", "what do you see"]
)
def test_asking_about_the_page_reads_it(line: str) -> None:
    assert any(isinstance(step, ReadPage) for step in respond(line, Memory()).steps)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("fill in my name Ada", "Ada"),
        ("fill in my name: ada lovelace", "Ada Lovelace"),
        ("please enter my name as Jean-Luc.", "Jean-Luc"),
        ("fill my name in O\u2019Neill", "O'Neill"),
    ],
)
def test_a_name_that_is_given_goes_into_the_form(line: str, name: str) -> None:
    send = send_of(line)
    assert send.command == "fill_form"
    assert send.fields == {"formId": "contact", "values": {"name": name}}


def test_a_missing_name_is_asked_for_and_the_answer_fills_the_form() -> None:
    asked = respond("fill in my name", Memory())
    assert not any(isinstance(step, Send) for step in asked.steps)
    assert asked.memory.awaiting_name

    send = send_of("grace hopper", asked.memory)

    assert send.fields == {"formId": "contact", "values": {"name": "Grace Hopper"}}


def test_another_question_ends_the_wait_for_a_name() -> None:
    asked = respond("fill in my name", Memory())
    after = respond("what is a surface?", asked.memory)
    assert not after.memory.awaiting_name
    assert not any(isinstance(step, Send) for step in respond("blue sky", after.memory).steps)


def test_a_name_is_remembered() -> None:
    told = respond("my name is ada", Memory())
    assert told.memory.name == "Ada"
    assert "Ada" in spoken(respond("what's my name?", told.memory))
    assert "Ada" in spoken(respond("hello", told.memory))
    assert send_of("fill in my name", told.memory).fields["values"] == {"name": "Ada"}


@pytest.mark.parametrize(
    "line", ["submit", "Submit!", "please send it", "submit the form", "and now send off my form."]
)
def test_submitting_sends_the_one_form(line: str) -> None:
    send = send_of(line)
    assert (send.command, send.fields) == ("submit_form", {"formId": "contact"})


@pytest.mark.parametrize("line", ["send me a postcard", "I submit to nobody", "do you send data"])
def test_other_talk_of_sending_sends_nothing(line: str) -> None:
    assert not any(isinstance(step, Send) for step in respond(line, Memory()).steps)


def test_where_the_form_is_is_said_only_if_the_page_failed() -> None:
    send = send_of("submit")
    assert outcome_text(send, Outcome.FAILED).endswith("say: go to sign up.")
    assert send_of("go to sign up").fields == {"href": "/sign-up"}
    others = [outcome_text(send, other) for other in Outcome if other is not Outcome.FAILED]
    assert not any("go to sign up" in text for text in others)


def test_an_unknown_line_is_admitted() -> None:
    assert "do not know" in spoken(respond("colourless green ideas", Memory()))


@given(st.text(max_size=200), st.booleans())
def test_every_line_gets_a_reply(line: str, awaiting: bool) -> None:
    assert respond(line, Memory(awaiting_name=awaiting)).steps


def test_only_success_is_called_success() -> None:
    send = Send("navigate", {"href": "/pricing"}, "Here we are.", "go to pricing")
    texts = {outcome: outcome_text(send, outcome) for outcome in Outcome}
    assert texts[Outcome.DONE] == "Here we are."
    assert "may not do that here" in texts[Outcome.REFUSED]
    assert "did not answer" in texts[Outcome.SILENCE]
    assert len(set(texts.values())) == len(Outcome)
    failures = [text for outcome, text in texts.items() if outcome is not Outcome.DONE]
    assert not any("Here we are" in text for text in failures)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ({"title": "Pricing", "text": "Free  for\n all"}, "called Pricing. It says: Free for all"),
        ({"path": "/pricing"}, "You are on /pricing."),
        ("just words", "It says: just words"),
        ({"title": 5}, "nothing that I can read out"),
        (None, "nothing that I can read out"),
        ([1, 2], "nothing that I can read out"),
    ],
)
def test_a_page_of_any_shape_is_spoken_about(context: object, said: str) -> None:
    assert said in page_text(context)


def test_a_long_page_is_cut() -> None:
    assert len(page_text({"text": "word " * 1000})) < 300


def test_a_page_that_did_not_answer_is_not_made_up() -> None:
    assert "no answer in time" in page_outcome_text(Outcome.SILENCE)
    assert "may not" in page_outcome_text(Outcome.REFUSED)


def test_a_form_that_was_sent_or_blocked_is_noticed() -> None:
    assert "has been sent" in notice_text(FormSubmitted("a"))
    assert "missing or not valid" in notice_text(FormSubmitBlocked("a", "validation"))
    assert "does not show" in notice_text(FormSubmitUncertain("a", "spa_prevented"))
    assert "an error" in notice_text(FormSubmitBlocked("a", "exception"))


def test_every_topic_can_be_reached_and_none_hides_another() -> None:
    questions = {
        "what can you do?": 0,
        "how are you": 1,
        "who are you?": 2,
        "what is a surface?": 3,
        "what if somebody joins late?": 4,
        "who has the microphone?": 5,
        "what are capabilities?": 6,
        "tell me about transcripts": 7,
        "is it fast?": 8,
        "do i need a key?": 9,
        "what are events?": 10,
        "what is livelayer?": 11,
        "how do i install it?": 12,
        "tell me a joke": 13,
        "thank you": 14,
        "goodbye": 15,
        "stop": 16,
    }
    assert sorted(questions.values()) == list(range(len(TOPICS)))
    answers = tuple(TOPICS.values())
    for question, index in questions.items():
        assert spoken(respond(question, Memory())) == answers[index], question


def test_the_script_is_what_the_guide_does() -> None:
    memory = Memory()
    for line in SCRIPT:
        reply = respond(line.text, memory)
        memory = reply.memory
        said = spoken(reply).casefold()
        assert all(words in said for words in line.answer_has), line.text
        commands = [
            (step.command, step.fields) if isinstance(step, Send) else ("request_page_context", {})
            for step in reply.steps
            if not isinstance(step, Say)
        ]
        expected = [] if line.command is None else [(line.command, dict(line.fields))]
        assert commands == expected, line.text


def test_answers_are_speakable() -> None:
    for answer in TOPICS.values():
        assert re.fullmatch(r"[A-Za-z ,.:!?'-]+", answer), answer
