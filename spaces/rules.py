"""Rules: predicates over features, as data that a person or a model may write."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vitruvius.errors import ToolError
from vitruvius.spaces.space import BoolArray, Feature, FloatArray, SearchSpace


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SlotCondition(_Data):
    """The slot holds one of the named choices."""

    slot: str
    choices: tuple[str, ...] = Field(min_length=1)


class RangeCondition(_Data):
    """A feature (count, share, ordinal, path) lies between two bounds, both included."""

    feature: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> RangeCondition:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
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
        parts = sorted(condition.model_dump_json(exclude_none=True) for condition in self.all)
        return f'{{"stance":"{self.stance}","all":[{",".join(parts)}]}}'


def _column(space: SearchSpace, name: str) -> tuple[int, Feature]:
    for index, feature in enumerate(space.features):
        if feature.name == name:
            return index, feature
    known = ", ".join(feature.name for feature in space.features if feature.slot is None)
    raise ToolError(f"space {space.name} has no feature {name!r}; it has: {known}")


def check_rule(rule: Rule, space: SearchSpace) -> None:
    """Checks that every slot, choice and feature of the rule exists in the space.

    Raises:
        ToolError: names the part that is wrong and what the space has instead.
    """
    slots = {slot.name: slot for slot in space.slots}
    for condition in rule.all:
        if not isinstance(condition, SlotCondition):
            _column(space, condition.feature)
            continue
        if condition.slot not in slots:
            raise ToolError(
                f"space {space.name} has no slot {condition.slot!r}; it has: {', '.join(slots)}"
            )
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
    met = np.ones(len(features), dtype=np.bool_)
    for condition in rule.all:
        met &= _met(condition, space, features)
    return met if rule.stance == "require" else ~met


def _met(condition: Condition, space: SearchSpace, features: FloatArray) -> BoolArray:
    if isinstance(condition, SlotCondition):
        columns = [
            index
            for index, feature in enumerate(space.features)
            if feature.slot == condition.slot and feature.choice in condition.choices
        ]
        if len(columns) != len(set(condition.choices)):
            check_rule(Rule(stance="require", all=(condition,)), space)
        return np.asarray(features[:, columns].max(axis=1) > 0.5)
    index, _ = _column(space, condition.feature)
    values = features[:, index]
    if isinstance(condition, TrendCondition):
        from vitruvius.spaces.region import reference_features

        middle = float(np.median(reference_features(space)[:, index]))
        return values >= middle if condition.trend == "up" else values <= middle
    low = -np.inf if condition.at_least is None else condition.at_least
    high = np.inf if condition.at_most is None else condition.at_most
    return (values >= low) & (values <= high)


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
        side = "at or above" if condition.trend == "up" else "at or below"
        return f"{condition.feature} {side} its median"
    if condition.at_least is None:
        return f"{condition.feature} <= {condition.at_most:g}"
    if condition.at_most is None:
        return f"{condition.feature} >= {condition.at_least:g}"
    return f"{condition.at_least:g} <= {condition.feature} <= {condition.at_most:g}"
