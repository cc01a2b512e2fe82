"""Wrong cuts: rules of a start that remove every one of the best architectures, by seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import numpy as np

from vitruvius.errors import ToolError
from vitruvius.evals.oracle import Truth
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition, holds
from vitruvius.spaces.space import FloatArray, SearchSpace

Kind = Literal["choice", "combination", "family"]
KINDS: tuple[Kind, ...] = ("choice", "combination", "family")
MOST_CHOICES = 2  # that a forbidden place may hold, where the best hold so few
BELOW = 1e-6  # margin around what the best have: no rounding may keep one of them


def kind_of(seed: int) -> Kind:
    """Returns the kind of wrong start that a seed stands for."""
    return KINDS[seed % len(KINDS)]


def wrong_rule(truth: Truth, seed: int) -> Rule:
    """Returns a rule that every architecture of the best 0.1 % violates, of the seed's kind.

    `choice` forbids at one slot what the best hold there; `combination` a pair of such choices, or
    the values of a feature that the best have; `family` forbids a kind of operation everywhere, or
    allows fewer than the best have.

    Args:
        truth: of the table that the run is scored on; for evals only.
        seed: gives the kind and the rule of that kind.
    """
    space = truth.space
    best = [a for a, (value, _) in truth.values.items() if value >= truth.threshold]
    features = space.featurise(best)
    makers = {"choice": _choices, "combination": _combinations, "family": _families}
    rules = [
        rule
        for rule in makers[kind_of(seed)](space, features)
        if not holds(rule, space, features).any() and _leaves_enough(space, rule)
    ]
    return rules[int(np.random.default_rng([seed, *b"wrong"]).integers(len(rules)))]


def _leaves_enough(space: SearchSpace, rule: Rule) -> bool:
    try:
        Region(space).with_cut(Cut(number=1, rule=rule, principle="", reason=""))
    except ToolError:
        return False
    return True


def _held(space: SearchSpace, features: FloatArray) -> list[SlotCondition]:
    """Returns for each slot the choices that the best hold there; the fewest first."""
    held = []
    for slot in space.slots:
        names = [
            name
            for name in slot.names
            if holds(
                _require(SlotCondition(slot=slot.name, choices=(name,))), space, features
            ).any()
        ]
        held.append(SlotCondition(slot=slot.name, choices=tuple(names)))
    return sorted(held, key=lambda condition: len(condition.choices))


def _choices(space: SearchSpace, features: FloatArray) -> Iterator[Rule]:
    held = _held(space, features)
    most = max(MOST_CHOICES, len(held[0].choices))  # so that some place always qualifies
    for condition in held:
        if len(condition.choices) <= most:
            yield Rule(stance="avoid", all=(condition,))


def _combinations(space: SearchSpace, features: FloatArray) -> Iterator[Rule]:
    for pair in itertools.combinations(_held(space, features)[:4], 2):
        yield Rule(stance="avoid", all=pair)
    for condition in _ranges(space, features):
        yield Rule(stance="avoid", all=(condition,))


def _families(space: SearchSpace, features: FloatArray) -> Iterator[Rule]:
    for condition in _ranges(space, features, "share("):
        if condition.at_least is not None and condition.at_least > 0:
            for most in (0.0, condition.at_least - BELOW):
                yield _require(RangeCondition(feature=condition.feature, at_most=most))


def _ranges(space: SearchSpace, features: FloatArray, prefix: str = "") -> Iterator[RangeCondition]:
    """Returns the values that the best have of each feature that is no choice."""
    for column, feature in enumerate(space.features):
        if feature.choice is None and feature.name.startswith(prefix):
            values = features[:, column]
            yield RangeCondition(
                feature=feature.name,
                at_least=float(values.min()) - BELOW,
                at_most=float(values.max()) + BELOW,
            )


def _require(condition: Condition) -> Rule:
    return Rule(stance="require", all=(condition,))
