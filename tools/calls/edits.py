"""Edits of principles, whoever proposes them, read and checked against the facts of a run."""

from __future__ import annotations

from typing import assert_never

from pydantic import TypeAdapter, ValidationError

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import reference_features
from vitruvius.spaces.rules import Rule, check_rule, holds, words
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.schemas import Problem, loosened, read_kind, sentence_of
from vitruvius.tools.calls.tool import ProposalContext, invalid

EDITS = ("add", "revise", "narrow", "merge", "retire")

_EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


def read_edit(data: object) -> Edit:
    """Returns the edit in untrusted JSON data: `{"edit": name, argument: value, ...}`.

    Raises:
        Problem: invalid; the sentence names the argument that is wrong and what it should be.
    """
    loose = loosened(data)
    name = read_kind(loose, "edit", EDITS)
    try:
        return _EDIT.validate_python(loose)
    except ValidationError as error:
        sentence = sentence_of(error, name, is_union=True)
        raise Problem(DecisionStatus.INVALID, sentence) from error


def check_edit(edit: Edit, context: ProposalContext) -> Edit:
    """Returns the edit if its rule fits the space and the principles it names exist.

    Raises:
        Problem: invalid or duplicate, with a sentence that says how to mend it.
    """
    named = _named(edit)
    for name in named:
        if name not in context.principles:
            known = ", ".join(context.principles) or "none yet; use add"
            raise invalid(f"{edit.edit}: there is no principle {name}; known: {known}")
    if isinstance(edit, Retire):
        return edit
    try:
        check_rule(edit.rule, context.space)
    except ToolError as error:
        raise invalid(f"{edit.edit}: {error}") from error
    _check_tells(edit.rule, context.space)
    for name, rule in context.principles.items():
        if rule.key == edit.rule.key and (name not in named or isinstance(edit, Narrow)):
            raise Problem(
                DecisionStatus.DUPLICATE,
                f"{edit.edit}: {name} holds the same rule already ({words(rule)}); "
                "propose another rule, or edit that principle",
            )
    return edit


def _check_tells(rule: Rule, space: SearchSpace) -> None:
    """Raises where a rule divides nothing: small models like to allow every choice."""
    share = float(holds(rule, space, reference_features(space)).mean())
    if share in (0.0, 1.0):
        which = "every" if share == 1.0 else "no"
        raise invalid(
            f"the rule ({words(rule)}) says nothing: {which} architecture satisfies it; name the "
            "choices or bounds that good architectures have and others have not"
        )


def _named(edit: Edit) -> tuple[str, ...]:
    match edit:
        case Add():
            return ()
        case Merge():
            return edit.principles
        case Revise() | Narrow() | Retire():
            return (edit.principle,)
        case _:
            assert_never(edit)
