"""Leaving a note for the architect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from vitruvius.memory.decisions import Decision
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.schemas import TEXT, Offer, object_of
from vitruvius.tools.calls.tool import Command, Desk, Tool

NOTE_CHARS = 1000


def _read(words: Sequence[str], rest: str) -> dict[str, Any]:
    if not rest:
        raise _COMMAND.needs("text")
    return {"tool": "note", "text": rest}


_COMMAND = Command(usage="/note WORDS", about="leave a note for the architect", read=_read)


class Note(Tool):
    """Leave a note, which the architect reads as data."""

    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_COMMAND,)
    EXAMPLES: ClassVar[Sequence[str]] = ('{"tool": "note", "text": "..."}',)

    tool: Literal["note"] = "note"
    text: str = Field(min_length=1, max_length=NOTE_CHARS)

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        return "Leave a note for the architect of the run.", object_of({"text": TEXT})

    async def take_up(self, desk: Desk) -> Decision | None:
        await desk.keep()
        return None
