"""The offline guide's answers: pure data; the first pattern that matches is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAME: Final = "Lumi"

TOPICS: Final[Mapping[str, str]] = {
    r"\b(what can (you do|i (ask|say))|help)\b": (
        "I can tell you about sessions, surfaces, events, transcripts and the demo. And if you "
        "let me, I go to a page, scroll, read the page, and fill in your name."
    ),
    r"\bhow are you\b": (
        "Very well, thank you. I have no cloud over my head: I run on this machine."
    ),
    r"\b(who|what) are you\b|\byour name\b": (
        f"I am {NAME}, a small guide made of rules, a synthetic voice and a drawn face. "
        "Give me a key, and a real model answers in my place."
    ),
    r"\bsurfaces?\b": (
        "A surface is anything that shows a session: a web page, a terminal, a recorder. "
        "They mount and unmount while I keep talking, and I speak only once for all of them."
    ),
    r"\b(join\w*|late|latecomers?|miss|missed|snapshots?)\b": (
        "A late subscriber gets the state as it is, and then every event after it: "
        "no gap, and no duplicate."
    ),
    r"\b(microphone|mic)\b": (
        "The microphone has one owner at a time. A second one learns who holds it, and it "
        "is free again when that surface goes."
    ),
    r"\b(capabilit(y|ies)|permissions?|allowed)\b": (
        "A surface says what I may do to it: navigate, scroll, fill in forms. The default is "
        "nothing, and I hear about every refusal."
    ),
    r"\btranscripts?\b": (
        "Every utterance is one line of the transcript, in the order in which it began, "
        "however its pieces arrive."
    ),
    r"\b(fast|latency|slow|performance|speed)\b": (
        "One ring of events, and one copy of each frame, shared by everybody. "
        "A slow surface hurts only itself."
    ),
    r"\b(keys?|cloud|offline|internet|network|free)\b": (
        "No key and no cloud. The room, the voice and the face run on this machine. "
        "With a key, real models take over."
    ),
    r"\bevents?\b|\b(event|the) bus\b": (
        "Everything that happens in a session is an event on one bus. Each reader has a cursor "
        "of its own, and none waits for another."
    ),
    r"\blive ?layer\b|\bsessions?\b|\bthis (project|thing|demo)\b": (
        "livelayer bus keeps one live agent session and shares it with any number of surfaces. "
        "They come and go, and the session stays."
    ),
    r"\b(install|get started|start with|begin)\b": (
        "Clone the repository and type: make demo. That is how we met."
    ),
    r"\bjoke\b": "Two surfaces walk into a room. The agent says: I only need to say this once.",
    r"\b(thanks|thank you|cheers)\b": "You are welcome.",
    r"\b(bye|goodbye|see you)\b": "Goodbye! It was nice to talk to you.",
    r"^\W*(stop|quiet|be quiet|hush)\W*$": "All right.",
}
