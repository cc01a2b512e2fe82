"""Searching the memory of principles."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from vitruvius.memory.decisions import Decision
from vitruvius.tools.calls.schemas import TEXT, Offer
from vitruvius.tools.calls.tool import (
    Checked,
    Engine,
    ProposalContext,
    Reason,
    Tool,
    check_is_new,
    reason_and,
)


class Recall(Tool):
    """Search the memory of principles, those of earlier runs included."""

    FOR_ARCHITECT: ClassVar[bool] = True

    tool: Literal["recall"] = "recall"
    query: str = Field(min_length=3, max_length=400)
    reason: Reason = ""

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        return cls.__doc__ or "", reason_and(query=TEXT)

    def check(self, context: ProposalContext) -> Checked:
        """Returns the question, which nobody has asked yet."""
        check_is_new(self, context)
        return Checked(decision=self)

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return await engine.recall(self.query)
