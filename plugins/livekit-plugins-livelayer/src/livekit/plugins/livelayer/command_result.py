"""What became of a command, as far as anybody told, and the words that tell a model so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Outcome(Enum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "capability"
    """The surface does not let the agent do this."""
    INVALID = "invalid"
    FAILED = "failed"
    TIMEOUT = "timeout"
    """The surface gave the command up."""
    BLOCKED = "blocked"
    """A form was not submitted: something in it is missing or not valid."""
    SILENCE = "silence"
    """Nobody said what became of it in time."""
    GONE = "gone"
    """The participant it was for is not in the room; nothing was sent."""


_WORDS: Final = {
    Outcome.DONE: "Done.",
    Outcome.REFUSED: (
        "Refused: the page does not allow this. It was not done. "
        "Tell the user that you may not do that here."
    ),
    Outcome.INVALID: "Not done: the page did not understand the request.",
    Outcome.FAILED: "Not done: the page tried, and it failed.",
    Outcome.TIMEOUT: "Not done: the page did not manage it in time.",
    Outcome.BLOCKED: "Not done: something in the form is missing or not valid yet.",
    Outcome.SILENCE: (
        "Unknown: the page did not answer, so it may or may not have happened. "
        "Do not claim that it worked."
    ),
    Outcome.GONE: "Not done: the user's page is not connected.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one command or request; true only if it was carried out.

    `value` is what was asked for (a page's context, its routes, an application's reply); `surface`
    is the key of the surface that answered, and `participant` whose page it was, where known.
    """

    outcome: Outcome
    value: object = None
    surface: str | None = None
    participant: str | None = None

    def __bool__(self) -> bool:
        return self.outcome is Outcome.DONE

    @property
    def words(self) -> str:
        """A sentence or two for the model, which never claims more than is known."""
        return _WORDS[self.outcome]
