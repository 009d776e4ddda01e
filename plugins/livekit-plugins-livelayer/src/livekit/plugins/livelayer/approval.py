"""A person's approval: the answer to what an agent's tool asks them."""

from __future__ import annotations

from typing import Final

from .command_result import Answer, Outcome

APPROVAL_SECONDS: Final = 60.0
"""How long a person has to answer."""

_WORDS: Final = {
    Outcome.DONE: "The user approved it: do it now.",
    Outcome.DECLINED: "The user refused it. It was not done: do not do it, and do not ask again.",
    Outcome.REFUSED: "Not approved, and not done: the user cannot be asked here.",
    Outcome.GONE: "Not approved, and not done: the user's page is not connected.",
}
_NOBODY: Final = "Not approved, and not done: nobody answered."


class Approval(Answer, frozen=True):
    """What became of a question to a person; true only if they approved."""

    @property
    def words(self) -> str:
        """A sentence for the model."""
        return _WORDS.get(self.outcome, _NOBODY)
