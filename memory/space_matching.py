"""What two spaces have in common, and what a rule of one says in the other."""

from __future__ import annotations

from vitruvius.errors import ToolError
from vitruvius.spaces.rules import Rule, check_rule
from vitruvius.spaces.space import SearchSpace


def are_alike(one: SearchSpace, other: SearchSpace) -> bool:
    """Returns whether both are of one family and speak of the same features."""
    return one.name == other.name and _names(one) == _names(other)


def matched_share(source: SearchSpace, target: SearchSpace) -> float:
    """Returns the share of the source's features that the target knows: 1 in one family."""
    if are_alike(source, target):
        return 1.0
    return len(_names(source) & _names(target)) / max(1, len(_names(source)))


def carried(rule: Rule, source: SearchSpace, target: SearchSpace) -> Rule | str:
    """Returns the rule in the target's features, or the reason why it cannot travel."""
    try:
        check_rule(rule, target)
    except ToolError as error:
        return str(error)
    return rule


def _names(space: SearchSpace) -> set[str]:
    return {feature.name for feature in space.features}
