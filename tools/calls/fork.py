"""Making a run from a run: asked for in a conversation, done at its door and not by the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from vitruvius.budget import parse_budget
from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.schemas import Offer, object_of
from vitruvius.tools.calls.tool import Command, Tool


def _read(words: Sequence[str], rest: str) -> dict[str, Any]:
    step, _, budget = f"{rest} ".partition("with ")
    if step.strip() and not step.strip().isdigit():
        raise ToolError(f"/fork takes the number of a step: {_COMMAND.usage}")
    return {
        "tool": "fork",
        "at": int(step) if step.strip() else None,
        "budget": budget.strip() or None,
    }


_COMMAND = Command(
    usage="/fork [STEP] [with BUDGET]",
    about="a new run that shares this one up to a step",
    read=_read,
)


class Fork(Tool):
    """Make a new run that shares what is known up to a step, and goes its own way."""

    FOR_PEOPLE: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (_COMMAND,)

    tool: Literal["fork"] = "fork"
    at: int | None = None
    budget: str | None = None

    @classmethod
    def chat_offer(cls, space: SearchSpace) -> Offer:
        properties = {
            "at": {"type": "integer", "description": "a step; default now"},
            "budget": {"type": "string", "description": "like '60 trials, 8h'"},
        }
        return cls.__doc__ or "", object_of(properties, optional=list(properties))

    @classmethod
    def from_person(cls, written: Mapping[str, Any], space: SearchSpace) -> Self:
        at, budget = written.get("at"), written.get("budget")
        if at is not None and (not isinstance(at, int) or isinstance(at, bool) or at < 0):
            raise ToolError(f"fork: 'at' is the number of a step, got {at!r:.40}")
        if budget is not None:
            try:
                parse_budget(str(budget))
            except ConfigError as error:
                raise ToolError(f"fork: {error}") from None
        return cls(at=at, budget=None if budget is None else str(budget))

    def kept(self, space: SearchSpace) -> dict[str, Any]:
        return self.model_dump(mode="json")
