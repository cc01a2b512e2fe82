"""A person's principle in plain words, put into a rule by a model."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.page import template
from vitruvius.agents.chairs.protocols import Rewrite
from vitruvius.agents.chairs.theorist import REWRITE, ModelTheorist, read_edits
from vitruvius.agents.chairs.view import RunView
from vitruvius.agents.model.client import Reply
from vitruvius.agents.model.quoting import fenced, quoted
from vitruvius.agents.model.schemas import edit_schemas, edits_of
from vitruvius.agents.model.voice import Form
from vitruvius.memory.edits import Add, Edit
from vitruvius.memory.records import DecisionStatus
from vitruvius.tools.calls.tool import ProposalContext
from vitruvius.tools.calls.untrusted import Problem

SAID_CHARS = 600


@runtime_checkable
class Understands(Protocol):
    """Somebody who can put plain words into a rule."""

    async def understand(self, view: RunView, said: str) -> Rewrite: ...


class ListeningTheorist(ModelTheorist):
    """The theorist's chair, whose model also listens to people."""

    async def understand(self, view: RunView, said: str) -> Rewrite:
        """Returns one `add` edit that says what the words mean; none where none was understood.

        Raises:
            ConfigError: the endpoint refuses the key or does not know the model.
        """
        context = context_of(view)
        form = _form(view, context, said)
        talk = await self.voice.talk(view, form, lambda reply: _read(reply, context))
        return Rewrite(
            edits=talk.value or (),
            author=self.voice.name,
            turned_down=tuple(talk.turned_down),
            calls=tuple(talk.calls),
        )


def _form(view: RunView, context: ProposalContext, said: str) -> Form:
    add = {"add": edit_schemas(context)["add"]}
    union = edits_of(add, at_most=1, at_least=1)
    data = fenced([quoted(said, SAID_CHARS)])
    return Form(
        chair="theorist",
        ask=template("ask_understand").substitute(step=view.step, said=data),
        tools={REWRITE: ("Say the principle as one edit.", union)},
        calls=add,
        key="edit",
        schema=union,
        sketch='{"edits": [{"edit": "add", ...}]}',
    )


def _read(reply: Reply, context: ProposalContext) -> tuple[Edit, ...]:
    edits = read_edits(reply, context)
    if len(edits) != 1 or not isinstance(edits[0], Add):
        raise Problem(DecisionStatus.INVALID, "expected exactly one edit, an add")
    return edits
