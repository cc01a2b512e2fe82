"""Checks of proposals, whoever makes them, against the facts of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add, Edit, Merge, Narrow, Retire, Revise
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import Region, reference_features
from vitruvius.spaces.rules import Rule, check_rule, holds, words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.calls.decisions import (
    LEAST_TO_AUDIT,
    AnyDecision,
    Audit,
    Proxy,
    Prune,
    Recall,
    Train,
)
from vitruvius.tools.calls.untrusted import Problem, short


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The facts of a run that a proposal must respect."""

    space: SearchSpace
    region: Region
    evaluated: Mapping[Architecture, str]  # to the name of its trial, T17
    k: int  # most architectures in one decision to train
    trials_left: int | None = None
    proxies: Sequence[str] = ()
    principles: Mapping[str, Rule] = field(default_factory=dict)  # P7 to its rule; not retired
    cuts: Mapping[int, str] = field(default_factory=dict)  # in force: number to principle, P7
    asked: Mapping[str, str] = field(default_factory=dict)  # `question_key` to what was answered
    audited: str | None = None  # what an audit answered since the last training


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A decision that can be carried out, its architectures parsed, and what was left out of it."""

    decision: AnyDecision
    architectures: tuple[Architecture, ...] = ()
    left_out: str | None = None  # a sentence: repeats that were dropped beside new ones


def check(decision: AnyDecision, ground: Ground) -> Checked:
    """Returns the decision as it can be carried out.

    Repeats beside new architectures are left out and named in `left_out`; nothing but repeats is
    a problem. Architectures to train must lie inside the region, whoever proposes them.

    Raises:
        Problem: duplicate, over budget or invalid, with a sentence that says how to mend it.
    """
    match decision:
        case Train():
            return _check_train(decision, ground)
        case Proxy():
            return _check_proxy(decision, ground)
        case Recall():
            _check_question(decision, ground)
            return Checked(decision=decision)
        case Prune():
            _check_prune(decision, ground)
            return Checked(decision=decision)
        case Audit():
            _check_audit(ground)
            return Checked(decision=decision)


def _parsed(specs: Sequence[Mapping[str, Any]], ground: Ground) -> list[Architecture]:
    architectures = []
    for number, spec in enumerate(specs, start=1):
        try:
            architectures.append(ground.space.parse(dict(spec)))
        except ToolError as error:
            raise _invalid(f"architecture {number} of {len(specs)}: {error}") from error
    return architectures


def _invalid(sentence: str) -> Problem:
    return Problem(DecisionStatus.INVALID, sentence)


def _check_train(decision: Train, ground: Ground) -> Checked:
    parsed = _parsed(decision.architectures, ground)
    if len(parsed) > ground.k:
        raise _invalid(f"train names {len(parsed)} architectures; at most {ground.k} at once")
    new: dict[Architecture, int] = {}
    repeats = []
    for number, architecture in enumerate(parsed, start=1):
        if architecture in ground.evaluated:
            repeats.append(f"architecture {number} is {ground.evaluated[architecture]} again")
        elif architecture in new:
            repeats.append(f"architecture {number} equals architecture {new[architecture]}")
        else:
            new[architecture] = number
    if not new:
        raise Problem(
            DecisionStatus.DUPLICATE,
            f"{'; '.join(repeats)}; the result is known, so change at least one part of it",
        )
    for architecture, number in new.items():
        _check_inside(architecture, number, ground)
    if ground.trials_left is not None and len(new) > ground.trials_left:
        raise Problem(
            DecisionStatus.OVER_BUDGET,
            f"train names {len(new)} new architectures; the budget has {ground.trials_left} "
            "trials left",
        )
    specs = [architecture.spec for architecture in new]
    return Checked(
        decision=decision.model_copy(update={"architectures": specs}),
        architectures=tuple(new),
        left_out="; ".join(repeats) or None,
    )


def _check_inside(architecture: Architecture, number: int, ground: Ground) -> None:
    features = ground.space.featurise([architecture])
    for cut in ground.region.cuts:
        if not Region(ground.space, (cut,)).mask(features)[0]:
            raise _invalid(
                f"architecture {number} lies outside the region: cut {cut.number} by "
                f"{cut.principle} keeps only {words(cut.rule)}; stay inside, or undo that cut first"
            )


def _check_proxy(decision: Proxy, ground: Ground) -> Checked:
    if not ground.proxies:
        raise _invalid("there are no proxies for this space and task; use another tool")
    unknown = [name for name in decision.proxies if name not in ground.proxies]
    if unknown:
        raise _invalid(
            f"there is no proxy {short(unknown[0])}; choose from: {', '.join(ground.proxies)}"
        )
    distinct = tuple(dict.fromkeys(_parsed(decision.architectures, ground)))
    clean = decision.model_copy(
        update={
            "architectures": [architecture.spec for architecture in distinct],
            "proxies": list(dict.fromkeys(decision.proxies)),
        }
    )
    _check_question(clean, ground)
    return Checked(decision=clean, architectures=distinct)


def question_key(decision: AnyDecision) -> str:
    """Returns the text that two equal questions to proxies or memory share, whatever reason."""
    data = decision.model_dump(exclude={"reason"})
    for name in ("architectures", "proxies"):
        if name in data:
            data[name] = sorted(json.dumps(item, sort_keys=True) for item in data[name])
    return json.dumps(data, sort_keys=True)


def _check_question(decision: Proxy | Recall, ground: Ground) -> None:
    answer = ground.asked.get(question_key(decision))
    if answer is not None:
        raise Problem(
            DecisionStatus.DUPLICATE,
            f"this {decision.tool} was asked already ({answer}); use the answer, or ask "
            "something else",
        )


def _check_audit(ground: Ground) -> None:
    if len(ground.evaluated) < LEAST_TO_AUDIT:
        raise _invalid(
            f"an audit needs {LEAST_TO_AUDIT} trained architectures; there are "
            f"{len(ground.evaluated)}: train more first"
        )
    if ground.audited is not None:
        raise Problem(
            DecisionStatus.DUPLICATE,
            f"nothing was trained since the last audit ({ground.audited}); use its answer",
        )


def _check_prune(decision: Prune, ground: Ground) -> None:
    if decision.action == "undo":
        if decision.cut not in ground.cuts:
            known = ", ".join(map(str, ground.cuts)) or "none"
            raise _invalid(f"there is no cut {decision.cut} to undo; in force: {known}")
        return
    principle = (decision.principle or "").split(".")[0]
    if principle not in ground.principles:
        known = ", ".join(ground.principles) or "none yet"
        raise _invalid(
            f"there is no principle {short(decision.principle)} to cut by; known: {known}"
        )
    for number, owner in ground.cuts.items():
        if owner == principle:
            raise Problem(
                DecisionStatus.DUPLICATE, f"cut {number} by {principle} is in force already"
            )


def check_edit(edit: Edit, ground: Ground) -> Edit:
    """Returns the edit if its rule fits the space and the principles it names exist.

    Raises:
        Problem: invalid or duplicate, with a sentence that says how to mend it.
    """
    named = _named(edit)
    for name in named:
        if name not in ground.principles:
            known = ", ".join(ground.principles) or "none yet; use add"
            raise _invalid(f"{edit.edit}: there is no principle {name}; known: {known}")
    if isinstance(edit, Retire):
        return edit
    try:
        check_rule(edit.rule, ground.space)
    except ToolError as error:
        raise _invalid(f"{edit.edit}: {error}") from error
    _check_tells(edit.rule, ground.space)
    for name, rule in ground.principles.items():
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
        raise _invalid(
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
