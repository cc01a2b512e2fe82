"""Rules: predicates over features, as data that a person or a model may write."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from vitruvius.errors import ToolError
from vitruvius.spaces.space import BoolArray, Feature, FloatArray, SearchSpace, reference_features


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SlotCondition(_Data):
    """The slot holds one of the named choices."""

    slot: str
    choices: tuple[str, ...] = Field(min_length=1)


class RangeCondition(_Data):
    """A feature (count, share, ordinal, path) lies between two bounds, both included."""

    feature: str
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None

    @model_validator(mode="after")
    def _bounded(self) -> RangeCondition:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} lies above at_most {self.at_most:g}")
        return self


class TrendCondition(_Data):
    """A feature lies on the named side of its median under the space's own sampler."""

    feature: str
    trend: Literal["up", "down"]


Condition = Annotated[
    SlotCondition | RangeCondition | TrendCondition, Field(union_mode="left_to_right")
]


class Rule(_Data):
    """Good architectures satisfy all conditions (`require`), or not all of them (`avoid`)."""

    stance: Literal["require", "avoid"]
    all: tuple[Condition, ...] = Field(min_length=1, max_length=3)

    @property
    def key(self) -> str:
        """Canonical JSON: equal rules have equal keys, whatever order they were written in."""
        parts = sorted({_ordered(c).model_dump_json(exclude_none=True) for c in self.all})
        return f'{{"stance":"{self.stance}","all":[{",".join(parts)}]}}'


def _ordered(condition: Condition) -> Condition:
    if not isinstance(condition, SlotCondition):
        return condition
    return SlotCondition(slot=condition.slot, choices=tuple(sorted(set(condition.choices))))


def _column(space: SearchSpace, name: str) -> tuple[int, Feature]:
    for index, feature in enumerate(space.features):
        if feature.name == name:
            return index, feature
    known = ", ".join(feature.name for feature in space.features if feature.choice is None)
    raise ToolError(f"space {space.name} has no feature {name!r}; it has: {known}")


def check_rule(rule: Rule, space: SearchSpace) -> None:
    """Checks that every slot, choice and feature of the rule exists in the space.

    Raises:
        ToolError: names the part that is wrong and what the space has instead.
    """
    slots = {slot.name: slot for slot in space.slots}
    for condition in rule.all:
        if not isinstance(condition, SlotCondition):
            _, feature = _column(space, condition.feature)
            if isinstance(condition, TrendCondition) and feature.kind == "bool":
                raise ToolError(
                    f"{feature.name} is true or false and has no trend; name its slot and choice,"
                    " or say at_least 1"
                )
            continue
        if condition.slot not in slots:
            has = f"has: {', '.join(slots)}" if slots else "has none: name features instead"
            raise ToolError(f"space {space.name} has no slot {condition.slot!r}; it {has}")
        names = slots[condition.slot].names
        for choice in condition.choices:
            if choice not in names:
                raise ToolError(
                    f"slot {condition.slot} has no choice {choice!r}; it has: {', '.join(names)}"
                )


def holds(rule: Rule, space: SearchSpace, features: FloatArray) -> BoolArray:
    """Returns which rows of a feature matrix [N, F] satisfy the rule: booleans [N].

    Raises:
        ToolError: if the rule does not fit the space (see `check_rule`).
    """
    check_rule(rule, space)
    met = np.ones(len(features), dtype=np.bool_)
    for condition in rule.all:
        met &= _met(condition, space, features)
    return met if rule.stance == "require" else ~met


def _met(condition: Condition, space: SearchSpace, features: FloatArray) -> BoolArray:
    if isinstance(condition, SlotCondition):
        return _holds_choice(condition, space, features)
    index, _ = _column(space, condition.feature)
    values = features[:, index]
    if isinstance(condition, TrendCondition):
        return _on_side(condition.trend, values, reference_features(space)[:, index])
    low = -np.inf if condition.at_least is None else condition.at_least
    high = np.inf if condition.at_most is None else condition.at_most
    return (values >= low) & (values <= high)


def _holds_choice(condition: SlotCondition, space: SearchSpace, features: FloatArray) -> BoolArray:
    met = np.zeros(len(features), dtype=np.bool_)
    slot = next(slot for slot in space.slots if slot.name == condition.slot)
    numbers = [c.value for c in slot.choices if c.name in condition.choices and c.value is not None]
    for index, feature in enumerate(space.features):
        if feature.slot != condition.slot:
            continue
        if feature.choice is None:
            # an ordinal slot is one feature, whose value is that of the choice
            met |= np.isin(features[:, index], numbers)
        elif feature.choice in condition.choices:
            met |= features[:, index] > 0.5
    return met


def _on_side(trend: Literal["up", "down"], values: FloatArray, reference: FloatArray) -> BoolArray:
    """Returns which values lie on a side of the reference's median, which counts to both.

    Not where more than half the reference lies at an end: there the median is left out of the
    other side, lest everything be on it.
    """
    middle = float(np.median(reference))
    if trend == "up":
        return values > middle if middle == reference.min() else values >= middle
    return values < middle if middle == reference.max() else values <= middle


def words(rule: Rule) -> str:
    """Returns the rule in plain words, for people and prompts."""
    text = " and ".join(_words(condition) for condition in rule.all)
    return text if rule.stance == "require" else f"not ({text})"


def _words(condition: Condition) -> str:
    if isinstance(condition, SlotCondition):
        if len(condition.choices) == 1:
            return f"{condition.slot} = {condition.choices[0]}"
        return f"{condition.slot} is one of {', '.join(condition.choices)}"
    if isinstance(condition, TrendCondition):
        side = "upper" if condition.trend == "up" else "lower"
        return f"{condition.feature} on the {side} side of its median"
    if condition.at_least is None:
        return f"{condition.feature} <= {condition.at_most:g}"
    if condition.at_most is None:
        return f"{condition.feature} >= {condition.at_least:g}"
    return f"{condition.at_least:g} <= {condition.feature} <= {condition.at_most:g}"
