"""The theorist's chair, taken by a model; the fallback takes each rewrite that it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from vitruvius.agents.chairs.constraints import context_of
from vitruvius.agents.chairs.prompt import template
from vitruvius.agents.chairs.repair_triggers import needs_repair
from vitruvius.agents.chairs.view import Rewrite, RunView, Theorist
from vitruvius.agents.chairs.voice import Form, PartlyGood, Voice, calls_of
from vitruvius.agents.model.client import Reply
from vitruvius.agents.model.quoting import fenced, quoted
from vitruvius.agents.model.reader import UnreadableReply, json_values, without_thinking
from vitruvius.agents.model.schemas import MAX_EDITS, edit_schemas, edits_of, edits_union
from vitruvius.memory.edits import Add, Edit
from vitruvius.memory.records import DecisionStatus
from vitruvius.tools.calls.edits import EDITS, check_edit, read_edit
from vitruvius.tools.calls.schemas import Problem
from vitruvius.tools.calls.tool import ProposalContext

REWRITE = "rewrite"
SAID_CHARS = 600  # of the plain words that a person stated a principle in


@runtime_checkable
class Understands(Protocol):
    """Somebody who can put plain words into a rule."""

    async def understand(self, view: RunView, said: str) -> Rewrite: ...


class ModelTheorist:
    """Asks a model for edits; what is good in its last reply counts, else the fallback's do.

    It also listens to people: it puts what they say in plain words into a rule.
    """

    def __init__(self, voice: Voice, fallback: Theorist) -> None:
        self.voice = voice
        self.fallback = fallback

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns checked edits, perhaps none, with what was turned down and every call.

        Raises:
            ConfigError: the endpoint refuses the key or does not know the model.
        """
        context = context_of(view)
        talk = await self.voice.talk(view, _form(view, context), lambda r: read_edits(r, context))
        if talk.value is None:
            rewrite = await self.fallback.rewrite(view)
            return replace(
                rewrite,
                turned_down=(*talk.turned_down, *rewrite.turned_down),
                calls=(*talk.calls, *rewrite.calls),
            )
        return Rewrite(
            edits=talk.value,
            author=self.voice.name,
            turned_down=tuple(talk.turned_down),
            calls=tuple(talk.calls),
        )

    async def understand(self, view: RunView, said: str) -> Rewrite:
        """Returns one `add` edit that says what the words mean; none where none was understood.

        Raises:
            ConfigError: the endpoint refuses the key or does not know the model.
        """
        context = context_of(view)
        form = _understanding(view, context, said)
        talk = await self.voice.talk(view, form, lambda reply: _one_add(reply, context))
        return Rewrite(
            edits=talk.value or (),
            author=self.voice.name,
            turned_down=tuple(talk.turned_down),
            calls=tuple(talk.calls),
        )


def _form(view: RunView, context: ProposalContext) -> Form:
    union = edits_union(context)
    return Form(
        chair="theorist",
        ask=_ask(view),
        tools={REWRITE: ("Propose edits of the principles; an empty list is allowed.", union)},
        calls=edit_schemas(context),
        key="edit",
        schema=union,
        sketch='{"edits": [{"edit": "...", ...}, ...]}',
    )


def _ask(view: RunView) -> str:
    """Returns what is wanted; a repair first, where results stall or contradict."""
    ask = template("ask_theorist").substitute(step=view.step, edits=MAX_EDITS)
    reasons = needs_repair(view)
    if not reasons:
        return ask
    return f"{ask}\n{template('ask_repair').substitute(reasons='; '.join(reasons))}"


def read_edits(reply: Reply, context: ProposalContext) -> tuple[Edit, ...]:
    """Returns the edits of a reply.

    Raises:
        PartlyGood: if some of them are good.
        Problem: if none is.
        UnreadableReply: if it holds no edits.
    """
    raw = _raw_edits(reply)
    good: list[Edit] = []
    problems: list[Problem] = []
    for number, data in enumerate(raw[:MAX_EDITS], start=1):
        try:
            edit = check_edit(read_edit(data), context)
            if any(_same_rule(edit, other) for other in good):
                raise Problem(DecisionStatus.DUPLICATE, "the rule stands in another edit already")
            good.append(edit)
        except Problem as problem:
            problems.append(Problem(problem.status, f"edit {number} of {len(raw)}: {problem}"))
    if len(raw) > MAX_EDITS:
        problems.append(
            Problem(DecisionStatus.INVALID, f"{len(raw)} edits; at most {MAX_EDITS} at once")
        )
    if not problems:
        return tuple(good)
    whole = Problem(problems[0].status, "; ".join(problem.sentence for problem in problems))
    raise PartlyGood(whole, tuple(good)) if good else whole


def _same_rule(edit: Edit, other: Edit) -> bool:
    rule, held = getattr(edit, "rule", None), getattr(other, "rule", None)
    return rule is not None and held is not None and bool(rule.key == held.key)


def _raw_edits(reply: Reply) -> list[Any]:
    """Returns the edits as the model wrote them, from `{"edits": [...]}` or from single calls."""
    if not reply.calls and not reply.refusal:
        values = list(json_values(without_thinking(reply.text)))
        if values == [[]]:
            return []
        for value in values:
            if isinstance(value, Mapping) and isinstance(value.get("edits"), list):
                return list(value["edits"])
    calls = calls_of(reply, (*EDITS, REWRITE), "edit")
    edits: list[Any] = []
    for call in calls:
        if call["edit"] != REWRITE:
            edits.append(call)
        elif isinstance(call.get("edits"), list):
            edits.extend(call["edits"])
        else:
            raise UnreadableReply("the call of rewrite holds no list of edits")
    return edits


def _understanding(view: RunView, context: ProposalContext, said: str) -> Form:
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


def _one_add(reply: Reply, context: ProposalContext) -> tuple[Edit, ...]:
    edits = read_edits(reply, context)
    if len(edits) != 1 or not isinstance(edits[0], Add):
        raise Problem(DecisionStatus.INVALID, "expected exactly one edit, an add")
    return edits
