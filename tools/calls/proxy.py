"""Asking proxies: training-free scores, at the price of a few passes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from vitruvius.memory.decisions import Decision
from vitruvius.tools.calls.schemas import Offer, architecture_schema, list_of, one_of, short
from vitruvius.tools.calls.tool import (
    Checked,
    Engine,
    ProposalContext,
    Reason,
    Tool,
    check_is_new,
    invalid,
    parse_all,
    reason_and,
)
from vitruvius.tools.calls.train import Specs

MOST_OFFERED = 16  # architectures in one question of a model


class Proxy(Tool):
    """Compute training-free scores of architectures; cheap, weakly related to the score."""

    FOR_ARCHITECT: ClassVar[bool] = True

    tool: Literal["proxy"] = "proxy"
    architectures: Specs
    proxies: list[str] = Field(min_length=1, max_length=16)
    reason: Reason = ""

    @classmethod
    def offer(cls, context: ProposalContext) -> Offer | None:
        if not context.proxies:
            return None
        return (
            "Compute training-free scores of architectures: cheap, weakly related to the score.",
            reason_and(
                proxies=list_of(one_of(context.proxies), len(context.proxies)),
                architectures=list_of(architecture_schema(context.space), MOST_OFFERED),
            ),
        )

    def check(self, context: ProposalContext) -> Checked:
        """Returns the question with each architecture and proxy once."""
        if not context.proxies:
            raise invalid("there are no proxies for this space and task; use another tool")
        unknown = [name for name in self.proxies if name not in context.proxies]
        if unknown:
            raise invalid(
                f"there is no proxy {short(unknown[0])}; choose from: {', '.join(context.proxies)}"
            )
        distinct = tuple(dict.fromkeys(parse_all(self.architectures, context.space)))
        specs = [architecture.spec for architecture in distinct]
        once = list(dict.fromkeys(self.proxies))
        clean = self.model_copy(update={"architectures": specs, "proxies": once})
        check_is_new(clean, context)
        return Checked(decision=clean, architectures=distinct)

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return await engine.score(self)
