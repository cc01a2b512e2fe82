"""The architect's chair, taken by a model; the fallback takes each step that it cannot.

Its prompt is `prompt.render`, asked by `voice`; here is what it is asked for, and how it is read.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.prompt import template
from vitruvius.agents.chairs.view import Architect, Proposal, RunView, TurnedDown
from vitruvius.agents.chairs.voice import Form, Voice, calls_of
from vitruvius.agents.model.client import Reply
from vitruvius.agents.model.schemas import decision_union
from vitruvius.memory.records import DecisionStatus
from vitruvius.tools.calls.registry import architects_tools, offers, read_decision
from vitruvius.tools.calls.tool import Checked, ProposalContext


class ModelArchitect:
    """Asks a model for one decision; after two mends that did not help, asks the fallback."""

    def __init__(self, voice: Voice, fallback: Architect) -> None:
        self.voice = voice
        self.fallback = fallback

    async def decide(self, view: RunView) -> Proposal:
        """Returns one checked decision, with what was turned down before it and every call.

        Raises:
            ConfigError: the endpoint refuses the key or does not know the model.
        """
        context = context_of(view)
        talk = await self.voice.talk(view, _form(view, context), lambda r: _read(r, context))
        if talk.value is None:
            proposal = await self.fallback.decide(view)
            return replace(
                proposal,
                turned_down=(*talk.turned_down, *proposal.turned_down),
                calls=(*talk.calls, *proposal.calls),
            )
        if talk.value.left_out is not None:
            talk.turned_down.append(
                TurnedDown(
                    author=self.voice.name,
                    status=DecisionStatus.DUPLICATE,
                    text="part of the decision",
                    problem=f"left out: {talk.value.left_out}",
                )
            )
        return Proposal(
            decision=talk.value.decision,
            author=self.voice.name,
            turned_down=tuple(talk.turned_down),
            calls=tuple(talk.calls),
        )


def _form(view: RunView, context: ProposalContext) -> Form:
    schemas = offers(context)
    return Form(
        chair="architect",
        ask=template("ask_architect").substitute(step=view.step, k=context.most_to_train),
        tools=schemas,
        calls=schemas,
        key="tool",
        schema=decision_union(context),
        sketch='{"decision": {"tool": "...", "reason": "...", ...}}',
    )


def _read(reply: Reply, context: ProposalContext) -> Checked:
    """Returns the first call of a reply, checked: one decision a step."""
    first = calls_of(reply, list(architects_tools()), "tool")[0]
    return read_decision(first).check(context)
