"""Rules: data that a model may write, with one key, one meaning and one sentence each."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vitruvius.errors import ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.rules import (
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    check_rule,
    holds,
    words,
)
from vitruvius.spaces.space import Architecture, SearchSpace, reference_features, reference_sample

SPACES: tuple[SearchSpace, ...] = (Cell(), Macro())


def slot_conditions(space: SearchSpace) -> st.SearchStrategy[SlotCondition]:
    return st.sampled_from(space.slots).flatmap(
        lambda slot: st.lists(st.sampled_from(slot.names), min_size=1, max_size=4).map(
            lambda choices: SlotCondition(slot=slot.name, choices=tuple(choices))
        )
    )


def range_conditions(space: SearchSpace) -> st.SearchStrategy[RangeCondition]:
    bounds = st.sampled_from([0.0, 0.5, 1.0, 2.0, 16.0])
    return st.builds(
        lambda feature, pair, sides: RangeCondition(
            feature=feature.name,
            at_least=min(pair) if sides != "most" else None,
            at_most=max(pair) if sides != "least" else None,
        ),
        st.sampled_from(space.features),
        st.tuples(bounds, bounds),
        st.sampled_from(["least", "most", "both"]),
    )


def trend_conditions(space: SearchSpace) -> st.SearchStrategy[TrendCondition]:
    names = [feature.name for feature in space.features if feature.kind != "bool"]
    return st.builds(
        TrendCondition, feature=st.sampled_from(names), trend=st.sampled_from(["up", "down"])
    )


def rules(space: SearchSpace) -> st.SearchStrategy[Rule]:
    condition = slot_conditions(space) | range_conditions(space) | trend_conditions(space)
    return st.builds(
        Rule,
        stance=st.sampled_from(["require", "avoid"]),
        all=st.lists(condition, min_size=1, max_size=3).map(tuple),
    )


space_and_rule = st.sampled_from(SPACES).flatmap(
    lambda space: st.tuples(st.just(space), rules(space))
)


def met_by_hand(rule: Rule, space: SearchSpace, architecture: Architecture) -> bool:
    """A plain slow reading of a rule."""
    values = dict(
        zip((f.name for f in space.features), space.featurise([architecture])[0], strict=True)
    )
    columns = dict(zip((f.name for f in space.features), reference_features(space).T, strict=True))
    met = []
    for condition in rule.all:
        if isinstance(condition, SlotCondition):
            met.append(architecture.spec[condition.slot] in condition.choices)
        elif isinstance(condition, RangeCondition):
            value = values[condition.feature]
            met.append(
                (condition.at_least is None or value >= condition.at_least)
                and (condition.at_most is None or value <= condition.at_most)
            )
        else:
            value, column = values[condition.feature], columns[condition.feature]
            middle, ends = np.median(column), (column.min(), column.max())
            if condition.trend == "up":
                met.append(value > middle or (value == middle and middle != ends[0]))
            else:
                met.append(value < middle or (value == middle and middle != ends[1]))
    return all(met) == (rule.stance == "require")


@settings(deadline=None)
@given(case=space_and_rule)
def test_a_rule_holds_where_a_plain_reading_says_so(case: tuple[SearchSpace, Rule]) -> None:
    space, rule = case
    sample = reference_sample(space)[:40]
    mask = holds(rule, space, space.featurise(sample))
    assert mask.dtype == np.bool_
    assert mask.tolist() == [met_by_hand(rule, space, architecture) for architecture in sample]


@settings(deadline=None)
@given(case=space_and_rule)
def test_stances_are_opposites(case: tuple[SearchSpace, Rule]) -> None:
    space, rule = case
    features = reference_features(space)
    other = Rule(stance="avoid" if rule.stance == "require" else "require", all=rule.all)
    assert (holds(rule, space, features) != holds(other, space, features)).all()
    assert rule.key != other.key


@settings(deadline=None)
@given(case=space_and_rule)
def test_the_key_ignores_order_and_repeats(case: tuple[SearchSpace, Rule]) -> None:
    space, rule = case
    turned = tuple(
        SlotCondition(slot=c.slot, choices=tuple(reversed(c.choices + c.choices[:1])))
        if isinstance(c, SlotCondition)
        else c
        for c in rule.all
    )
    for conditions in itertools.permutations(turned):
        again = Rule(stance=rule.stance, all=conditions)
        assert again.key == rule.key
        features = reference_features(space)
        assert (holds(again, space, features) == holds(rule, space, features)).all()


@settings(deadline=None)
@given(case=space_and_rule)
def test_rules_survive_json(case: tuple[SearchSpace, Rule]) -> None:
    _, rule = case
    assert Rule.model_validate_json(rule.model_dump_json()) == rule
    assert Rule.model_validate(json.loads(rule.key)).key == rule.key


@settings(deadline=None)
@given(case=space_and_rule)
def test_words_name_every_feature_and_bound(case: tuple[SearchSpace, Rule]) -> None:
    _, rule = case
    text = words(rule)
    assert text.startswith("not (") == (rule.stance == "avoid")
    for condition in rule.all:
        if isinstance(condition, SlotCondition):
            assert condition.slot in text
            assert all(choice in text for choice in condition.choices)
        else:
            assert condition.feature in text


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (SlotCondition(slot="edge", choices=("none",)), "no slot 'edge'; it has: edge_0_1"),
        (
            SlotCondition(slot="edge_0_1", choices=("none", "conv")),
            "no choice 'conv'; it has: none",
        ),
        (RangeCondition(feature="dept", at_least=1), "no feature 'dept'; it has: share(kind=none)"),
        (TrendCondition(feature="dept", trend="up"), "no feature 'dept'"),
        (TrendCondition(feature="edge_0_1=none", trend="up"), "has no trend"),
    ],
)
def test_a_rule_that_does_not_fit_is_refused(
    condition: SlotCondition | RangeCondition | TrendCondition, sentence: str
) -> None:
    rule = Rule(stance="require", all=(condition,))
    for attempt in (
        lambda: check_rule(rule, Cell()),
        lambda: holds(rule, Cell(), reference_features(Cell())),
    ):
        with pytest.raises(ToolError) as caught:
            attempt()
        assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"feature": "depth"}, "give at_least, at_most or both"),
        ({"feature": "depth", "at_least": 3, "at_most": 1}, "at_least 3 lies above at_most 1"),
        ({"feature": "depth", "at_least": float("nan")}, "finite"),
        ({"feature": "depth", "at_least": float("inf")}, "finite"),
        ({"slot": "edge_0_1", "choices": []}, "at least 1 item"),
        ({"feature": "depth", "at_least": 1, "run": "rm"}, "not permitted"),
    ],
)
def test_malformed_conditions_are_refused_by_type(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Rule.model_validate({"stance": "require", "all": [data]})


def test_a_choice_of_an_ordinal_slot_can_be_named() -> None:
    space = Macro()
    features = space.featurise(space.members() or ())
    rule = Rule(stance="require", all=(SlotCondition(slot="depth", choices=("1", "6")),))
    depths = [architecture.spec["depth"] for architecture in space.members() or ()]
    assert holds(rule, space, features).tolist() == [depth in ("1", "6") for depth in depths]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_a_trend_splits_every_feature_that_varies(space: SearchSpace) -> None:
    features = reference_features(space)
    for index, feature in enumerate(space.features):
        if feature.kind != "bool" and np.ptp(features[:, index]) > 0:
            for trend in ("up", "down"):
                condition = TrendCondition(feature=feature.name, trend=trend)
                share = holds(Rule(stance="require", all=(condition,)), space, features).mean()
                assert 0 < share < 1, (feature.name, trend)


def test_some_words() -> None:
    rule = Rule.model_validate(
        {
            "stance": "avoid",
            "all": [
                {"slot": "edge_0_3", "choices": ["none", "avg_pool_3x3"]},
                {"feature": "depth", "at_least": 1, "at_most": 2},
                {"feature": "paths", "trend": "down"},
            ],
        }
    )
    assert words(rule) == (
        "not (edge_0_3 is one of none, avg_pool_3x3 and 1 <= depth <= 2"
        " and paths on the lower side of its median)"
    )
