"""Asking what decides in the space, by the results so far."""

from __future__ import annotations

from typing import ClassVar, Literal

from vitruvius.memory.decisions import Decision
from vitruvius.memory.records import DecisionStatus
from vitruvius.tools.calls.schemas import Offer, Problem
from vitruvius.tools.calls.tool import (
    Checked,
    Engine,
    ProposalContext,
    Reason,
    Tool,
    invalid,
    reason_and,
)

LEAST_TO_AUDIT = 12  # architectures with a result


class Audit(Tool):
    """Ask what decides in the space, by the results so far; proposed cuts become candidates."""

    FOR_ARCHITECT: ClassVar[bool] = True

    tool: Literal["audit"] = "audit"
    reason: Reason = ""

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        if len(context.evaluated) < LEAST_TO_AUDIT or context.audited is not None:
            return None
        return (
            "Audit the space by the results so far: what decides, what has no effect, which cuts "
            "would keep the best. These become candidate principles. Costs nothing.",
            reason_and(),
        )

    def check(self, context: ProposalContext) -> Checked:
        """Returns the decision where there are enough results, and new ones."""
        if len(context.evaluated) < LEAST_TO_AUDIT:
            raise invalid(
                f"an audit needs {LEAST_TO_AUDIT} trained architectures; there are "
                f"{len(context.evaluated)}: train more first"
            )
        if context.audited is not None:
            raise Problem(
                DecisionStatus.DUPLICATE,
                f"nothing was trained since the last audit ({context.audited}); use its answer",
            )
        return Checked(decision=self)

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return await engine.audit(decision)
