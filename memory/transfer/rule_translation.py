"""A rule of one space, told in another: by the features and choices that both know."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vitruvius.memory.transfer.space_overlap import AS_THEY_ARE, is_one_family
from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    holds,
)
from vitruvius.spaces.space import Choice, FloatArray, SearchSpace, reference_features

FACTOR = 2.0  # a bound means the same up to so much in the share that meets it, or that does not


def carry_rule(rule: Rule, source: SearchSpace, target: SearchSpace) -> Rule | str:
    """Returns the rule that means the same in another space, or why there is none.

    Within a family the rule stays as it is, whatever the skeleton. Otherwise each condition is
    told by features that both know: choices by name, shares and booleans by value, bounds on counts
    and ordinals by the share of the sampler's draws that meet them. A trend speaks of each space's
    own median already.

    Args:
        rule: fits the source.
        source: the space it was learned in.
        target: the space it is told in.
    """
    if is_one_family(source, target):
        return rule
    told: list[Condition] = []
    for condition in rule.all:
        carried = _carried(condition, source, target)
        if isinstance(carried, str):
            return carried
        told.append(carried)
    new = Rule(stance=rule.stance, all=tuple(told))
    kept = float(holds(new, target, reference_features(target)).mean())
    if kept in (0.0, 1.0):
        every = "every" if kept else "no"
        return f"In {target.name} {every} architecture satisfies the rule, so it says nothing."
    return new


def _carried(condition: Condition, source: SearchSpace, target: SearchSpace) -> Condition | str:
    if isinstance(condition, SlotCondition):
        return _carried_choices(condition, source, target)
    kinds = {feature.name: feature.kind for feature in source.features}
    known = {feature.name: feature.kind for feature in target.features}
    name = condition.feature
    if known.get(name) != kinds[name]:
        return f"{target.name} has no {name} of the kind that {source.name} has."
    if isinstance(condition, TrendCondition) or kinds[name] in AS_THEY_ARE:
        return condition
    return _carried_bounds(condition, source, target)


def _carried_choices(
    condition: SlotCondition, source: SearchSpace, target: SearchSpace
) -> Condition | str:
    old = next(slot for slot in source.slots if slot.name == condition.slot)
    new = next((slot for slot in target.slots if slot.name == condition.slot), None)
    if new is None or new.is_ordinal != old.is_ordinal:
        return f"{target.name} has no slot {old.name} like that of {source.name}."
    if old.is_ordinal:
        held = sorted(_numbers(old.choices, condition.choices))
        between = _numbers(old.choices, old.names)
        if len(held) != sum(held[0] <= number <= held[-1] for number in between):
            return f"The choices {', '.join(condition.choices)} of {old.name} leave a gap."
        bounds = RangeCondition(feature=old.name, at_least=held[0], at_most=held[-1])
        return _carried(bounds, source, target)
    known = tuple(choice for choice in condition.choices if choice in new.names)
    if not known:
        return f"Slot {new.name} of {target.name} has no choice {' or '.join(condition.choices)}."
    if len(known) == len(new.names):
        return f"Slot {new.name} of {target.name} has no other choices, so that says nothing."
    return SlotCondition(slot=new.name, choices=known)


def _carried_bounds(
    condition: RangeCondition, source: SearchSpace, target: SearchSpace
) -> RangeCondition | str:
    """Returns bounds that as large a part of the target's sampler meets, or why there are none."""
    name = condition.feature
    here = _column(source, name, reference_features(source))
    there = _column(target, name, reference_features(target))
    found: dict[str, float] = {}
    for side, sign in (("at_least", 1.0), ("at_most", -1.0)):
        bound = getattr(condition, side)
        if bound is None or (sign * here >= sign * bound).all():
            continue  # a bound that all meet says nothing there, and need not be told
        share = float((sign * here >= sign * bound).mean())
        candidates = np.unique(there)
        shares = np.array([(sign * there >= sign * each).mean() for each in candidates])
        nearest = int(np.abs(shares - share).argmin())
        if not _is_about(share, float(shares[nearest])):
            return (
                f"{side.replace('_', ' ')} {bound:g} of {name} holds for {share:.0%} of"
                f" {source.name}, and no bound does so for about as much of {target.name}."
            )
        found[side] = float(candidates[nearest])
    if not found:
        return f"The bounds on {name} leave out nothing of {source.name}, so they say nothing."
    if found.get("at_least", -np.inf) > found.get("at_most", np.inf):
        return f"The bounds on {name} leave nothing between them in {target.name}."
    return RangeCondition(feature=name, **found)


def _is_about(one: float, other: float) -> bool:
    """Returns whether two shares, and what they leave, differ by at most `FACTOR`."""
    sides = ((one, other), (1 - one, 1 - other))
    return all(0 < a <= FACTOR * b and 0 < b <= FACTOR * a for a, b in sides)


def _numbers(choices: Iterable[Choice], names: Iterable[str]) -> list[float]:
    wanted = set(names)
    return [c.value for c in choices if c.name in wanted and c.value is not None]


def _column(space: SearchSpace, name: str, features: FloatArray) -> FloatArray:
    place = next(i for i, feature in enumerate(space.features) if feature.name == name)
    return np.asarray(features[:, place])
