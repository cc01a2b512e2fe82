"""Whether one rule speaks of less than another, from their text alone."""

from __future__ import annotations

import math

from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition


def is_narrower(new: Rule, old: Rule) -> bool:
    """Returns whether `new` is `old` under further conditions.

    It is when both take the same stance and each condition of the old rule follows from one of
    the new rule's: the same, fewer choices at the slot, or tighter bounds. Then what the new
    conditions describe is a part of what the old ones describe in every space, whichever
    architectures were sampled; a rule that happens to hold for fewer of a sample is refused.
    """
    if new.stance != old.stance or new.key == old.key:
        return False
    return all(any(_implies(one, other) for one in new.all) for other in old.all)


def _implies(one: Condition, other: Condition) -> bool:
    if isinstance(one, SlotCondition) and isinstance(other, SlotCondition):
        return one.slot == other.slot and set(one.choices) <= set(other.choices)
    if isinstance(one, RangeCondition) and isinstance(other, RangeCondition):
        return (
            one.feature == other.feature and _low(one) >= _low(other) and _high(one) <= _high(other)
        )
    return one == other


def _low(condition: RangeCondition) -> float:
    return -math.inf if condition.at_least is None else condition.at_least


def _high(condition: RangeCondition) -> float:
    return math.inf if condition.at_most is None else condition.at_most
