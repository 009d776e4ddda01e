"""The guide: the rules by which the offline agent answers and commands the page. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec
from livekit.plugins.livelayer import Outcome
from msgspec.structs import replace

from livelayer_bus.messages import FormSubmitBlocked, FormSubmitted, FormSubmitUncertain

from .topics import NAME, TOPICS

FORM_ID: Final = "contact"
GREETING: Final = (
    f"Hello, I am {NAME}, your guide to livelayer bus. "
    "Ask me what a surface is, or tell me where to go."
)
CANNOT_TRANSCRIBE: Final = (
    "I can hear you, but without a network I cannot turn speech into words. Please type to me."
)
PLEASE_TYPE: Final = "Please type to me."
_NAMES: Final = {
    "/": ("home", "home page", "homepage", "start", "front", "main", "/"),
    "/pricing": ("price", "prices", "plans"),
    "/docs": ("documentation", "documents", "manual"),
    "/sign-up": (
        *("signup", "sign up form", "sign-up form", "signup form"),
        *("registration", "contact form", "form"),
    ),
}
PLACES: Final = {name: href for href, names in _NAMES.items() for name in names}
"""Names of the site's pages, other than the last part of their address."""
PAGE_EXCERPT: Final = 240
"""Characters of a page's text that are read out."""


class Say(msgspec.Struct, frozen=True):
    """Say a text."""

    text: str


class Send(msgspec.Struct, frozen=True):
    """Send a command to the page, wait for its result, and say it.

    `fields` are the message's fields besides `type`; `done` is said after a success, `goal`
    completes the sentence "I could not ...", and `hint` follows it if the page tried and failed.
    """

    command: str
    fields: Mapping[str, object]
    done: str
    goal: str
    hint: str = ""


class ReadPage(msgspec.Struct, frozen=True):
    """Ask the page what it shows, and describe the answer."""


Step: TypeAlias = Say | Send | ReadPage


class Memory(msgspec.Struct, frozen=True):
    """What the guide remembers from this conversation."""

    name: str | None = None
    awaiting_name: bool = False


class Reply(msgspec.Struct, frozen=True):
    """Steps to take in order, and what to remember afterwards."""

    steps: tuple[Step, ...]
    memory: Memory


_SPOKEN: Final = {
    "/": "the home page",
    "/pricing": "pricing",
    "/docs": "the docs",
    "/sign-up": "the sign-up page",
}
_WHERE_THE_FORM_IS: Final = "If this page has no form, say: go to sign up."

_Rule: TypeAlias = Callable[[re.Match[str], Memory], Reply]


def respond(text: str, memory: Memory) -> Reply:
    """Return the reply to a line of the user. Never fails; the reply has at least one step."""
    line = " ".join(text.replace("\u2019", "'").split())
    for pattern, rule in _RULES:
        if match := pattern.search(line):
            return rule(match, replace(memory, awaiting_name=False))
    if memory.awaiting_name and (name := _as_name(line)):
        return _fill_name(name, memory)
    return _say(
        "I am only a small guide, and I do not know that one. Ask me what a surface is, "
        "or say: go to pricing, scroll down, what is on this page, or fill in my name.",
        replace(memory, awaiting_name=False),
    )


def outcome_text(send: Send, outcome: Outcome) -> str:
    """Return what the guide says about the result of a command."""
    match outcome:
        case Outcome.DONE:
            return send.done
        case Outcome.REFUSED:
            return f"I may not do that here: this page does not allow me to {send.goal}."
        case Outcome.INVALID:
            return f"I could not {send.goal}: the page did not understand what I asked for."
        case Outcome.FAILED:
            return f"I could not {send.goal}: the page tried, and it failed. {send.hint}".rstrip()
        case Outcome.BLOCKED:
            return f"I could not {send.goal}: something in it is missing or not valid yet."
        case Outcome.TIMEOUT:
            return f"I could not {send.goal}: the page did not manage it in time."
        case Outcome.UNCERTAIN:
            return "The page took the form, but it did not show whether it was sent."
        case Outcome.SILENCE:
            return "The page did not answer, so I do not know whether that worked."
        case Outcome.DECLINED:
            return f"I did not {send.goal}: you said no."
        case Outcome.GONE:
            return f"I could not {send.goal}: your page is not connected any more."


def page_text(context: object) -> str:
    """Return what the guide says about a page context of any shape."""
    if isinstance(context, Mapping):
        title = _first_text(context, "title", "name", "heading")
        place = _first_text(context, "pathname", "path", "url", "href", "route")
        body = _first_text(
            context, "summary", "description", "visibleText", "text", "content", "body"
        )
    else:
        title, place = "", ""
        body = _excerpt(context) if isinstance(context, str) else ""
    parts: list[str] = []
    if title:
        parts.append(f"This page is called {title}.")
    elif place:
        parts.append(f"You are on {place}.")
    if body:
        parts.append(f"It says: {body}")
    return " ".join(parts) or "The page answered, but with nothing that I can read out."


def page_outcome_text(outcome: Outcome) -> str:
    """Return what the guide says when it asked for the page and got no context."""
    match outcome:
        case Outcome.REFUSED:
            return "I may not do that here: this page does not allow me to read the page."
        case Outcome.DONE | Outcome.SILENCE | Outcome.UNCERTAIN | Outcome.TIMEOUT:
            return "I asked the page, but I got no answer in time."
        case Outcome.INVALID | Outcome.FAILED | Outcome.BLOCKED | Outcome.DECLINED | Outcome.GONE:
            return "I asked the page, but it could not say what it shows."


def notice_text(message: FormSubmitted | FormSubmitBlocked | FormSubmitUncertain) -> str:
    """Return what the guide says about a form that the user submitted."""
    if isinstance(message, FormSubmitted):
        return "Thank you, the form has been sent."
    if isinstance(message, FormSubmitUncertain):
        return "The page does not show whether the form was sent."
    if message.reason == "validation":
        return "The form was not sent: something in it is missing or not valid yet."
    return "The form was not sent: the page ran into an error."


def _say(text: str, memory: Memory) -> Reply:
    return Reply((Say(text),), memory)


def _answer(text: str) -> _Rule:
    return lambda _match, memory: _say(text, memory)


def _greet(_match: re.Match[str], memory: Memory) -> Reply:
    who = f", {memory.name}" if memory.name else ""
    return _say(f"Hello{who}! I am {NAME}. What would you like to know?", memory)


def _navigate(match: re.Match[str], memory: Memory) -> Reply:
    target = match["target"].strip(" .!?\"'").casefold()
    if (known := PLACES.get(target)) is not None:
        href, spoken = known, _SPOKEN[known]
    elif target.startswith("/"):
        href, spoken = target.replace(" ", "-"), target.strip("/").replace("-", " ") or "home"
    else:
        slug = re.sub(r"[^a-z0-9]+", "-", target).strip("-")
        if not slug:
            return _say("Where shall I go? Name me a page, for example pricing.", memory)
        href, spoken = f"/{slug}", target
    command = Send("navigate", {"href": href}, f"Here we are: {spoken}.", f"go to {spoken}")
    return Reply((Say(f"Let us go to {spoken}."), command), memory)


def _scroll(match: re.Match[str], memory: Memory) -> Reply:
    direction = match["direction"].casefold()
    where = f"to the {direction}" if direction in {"top", "bottom"} else direction
    command = Send(
        "scroll_page",
        {"direction": direction, "behavior": "smooth"},
        f"I have scrolled {where}.",
        f"scroll {where}",
    )
    return Reply((Say(f"Scrolling {where}."), command), memory)


def _read(_match: re.Match[str], memory: Memory) -> Reply:
    return Reply((Say("Let me have a look."), ReadPage()), memory)


def _fill(match: re.Match[str], memory: Memory) -> Reply:
    name = _as_name(match["name"]) or memory.name
    if name is None:
        return Reply((Say("Gladly. What is your name?"),), replace(memory, awaiting_name=True))
    return _fill_name(name, memory)


def _fill_name(name: str, memory: Memory) -> Reply:
    command = Send(
        "fill_form",
        {"formId": FORM_ID, "values": {"name": name}},
        f"Your name is in the form, {name}.",
        "fill in the form",
        _WHERE_THE_FORM_IS,
    )
    remembered = replace(memory, name=name, awaiting_name=False)
    return Reply((Say(f"I am writing {name} into the form."), command), remembered)


def _submit(_match: re.Match[str], memory: Memory) -> Reply:
    command = Send(
        "submit_form",
        {"formId": FORM_ID},
        "I have sent the form.",
        "send the form",
        _WHERE_THE_FORM_IS,
    )
    return Reply((Say("I am sending the form."), command), memory)


def _remember(match: re.Match[str], memory: Memory) -> Reply:
    name = _as_name(match["name"])
    if name is None:
        return _say(
            "I did not get your name. Say it once more?", replace(memory, awaiting_name=True)
        )
    return _say(
        f"Nice to meet you, {name}. Say: fill in my name, and I write it into the form.",
        replace(memory, name=name),
    )


def _recall(_match: re.Match[str], memory: Memory) -> Reply:
    if memory.name is None:
        return _say(
            "You have not told me yet. What is your name?", replace(memory, awaiting_name=True)
        )
    return _say(f"You are {memory.name}.", memory)


def _as_name(text: str) -> str | None:
    words = re.findall(r"[^\W\d_][\w'-]*", text)
    if not 1 <= len(words) <= 4:
        return None
    return " ".join(word if word[:1].isupper() else word.capitalize() for word in words)[:60]


def _first_text(context: Mapping[object, object], *keys: str) -> str:
    for key in keys:
        value = context.get(key)
        if isinstance(value, str) and value.strip():
            return _excerpt(value)
    return ""


def _excerpt(text: str) -> str:
    flat = " ".join(text.split())
    if len(flat) <= PAGE_EXCERPT:
        return flat
    return flat[:PAGE_EXCERPT].rsplit(" ", 1)[0] + ", and more."


_COMMANDS: Final[Mapping[str, _Rule]] = {
    (
        r"\b(?:fill|put|write|enter|type)\b(?: in)?(?: my)? name\b(?: in)?(?: as| is)?"
        r"\W*(?P<name>[^.!?]*)"
    ): _fill,
    r"\bwhat(?:'s| is) my name\b|\bwho am i\b": _recall,
    r"\b(?:my name is|call me)\s+(?P<name>[^.,!?]+)": _remember,
    r"\b(?:submit|send)(?: off)?(?: the| my| this)? form\b": _submit,
    (
        r"^\W*(?:please |now |and |then |ok |okay )*(?:submit|send)(?: off)?"
        r"(?: it| this| that)?(?: off)?(?: please| now)*\W*$"
    ): _submit,
    r"\b(?:on|read) (?:this|the) page\b|\bwhat do you see\b|\bwhere am i\b": _read,
    r"\bscroll\b.*?\b(?P<direction>up|down|top|bottom)\b": _scroll,
    (
        r"\b(?:go|take me|bring me|navigate|switch|head)(?: back)? to (?:the )?"
        r"(?P<target>[\w/ -]+?)(?: page)?(?: please)?\W*$"
    ): _navigate,
    r"\bopen (?:the )?(?P<target>[\w/ -]+?) page\b": _navigate,
    r"\bgo (?P<target>home)\b": _navigate,
}
_RULES: Final[tuple[tuple[re.Pattern[str], _Rule], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), rule)
    for pattern, rule in (
        *_COMMANDS.items(),
        *((pattern, _answer(answer)) for pattern, answer in TOPICS.items()),
        (r"^\W*(?:hi|hey|hello|good (?:morning|evening|day|afternoon))\b", _greet),
    )
)
