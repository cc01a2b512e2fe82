"""Rules in plain words, without figures of their effect, which would go stale."""

from __future__ import annotations

from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition
from vitruvius.spaces.space import SearchSpace


def statement(rule: Rule, space: SearchSpace) -> str:
    """Returns the rule as a principle that a person can read."""
    text = " and ".join(_phrase(condition, space) for condition in rule.all)
    opening = "Prefer" if rule.stance == "require" else "Avoid"
    return f"{opening} architectures {text}."


def _phrase(condition: Condition, space: SearchSpace) -> str:
    if isinstance(condition, SlotCondition):
        return f"with {' or '.join(condition.choices)} at {condition.slot}"
    feature = next(f for f in space.features if f.name == condition.feature)
    about = f" ({feature.description})" if feature.slot is None else ""
    if not isinstance(condition, RangeCondition):
        return f"with {'large' if condition.trend == 'up' else 'small'} {feature.name}{about}"
    low, high = condition.at_least, condition.at_most
    if high is not None and (high <= 0 or (feature.kind == "bool" and high < 1)):
        return f"without {feature.name}{about}"
    if feature.kind == "bool":
        return f"with {feature.name}{about}"
    if low is None:
        return f"with {feature.name} of at most {high:.3g}{about}"
    if high is None:
        return f"with {feature.name} of at least {low:.3g}{about}"
    return f"with {feature.name} from {low:.3g} to {high:.3g}{about}"
