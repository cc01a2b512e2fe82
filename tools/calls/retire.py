"""Giving a principle up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from vitruvius.memory import edits
from vitruvius.memory.decisions import Decision
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.prune import NAME_IN_CHAT
from vitruvius.tools.calls.schemas import Offer, object_of
from vitruvius.tools.calls.tool import ASKED_FOR, Command, Desk, Name, Text, Tool


def _named(words: Sequence[str], rest: str) -> dict[str, Any]:
    if len(words) != 1:
        raise _COMMAND.needs("a principle")
    return {"tool": "retire", "principle": words[0].upper().partition(".")[0]}


_COMMAND = Command(usage="/retire P3", about="give a principle up", read=_named)


class Retire(Tool):
    """Give up a principle."""

    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_COMMAND,)
    EXAMPLES: ClassVar[Sequence[str]] = ('{"tool": "retire", "principle": "P3"}',)

    tool: Literal["retire"] = "retire"
    principle: Name
    reason: Text = ASKED_FOR

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        return "Give a principle up.", object_of({"principle": NAME_IN_CHAT})

    async def take_up(self, desk: Desk) -> Decision | None:
        await desk.rewrite(self._edit)
        return None

    async def _edit(self) -> edits.Edit:
        return edits.Retire(principle=self.principle.split(".")[0], rationale=self.reason)
