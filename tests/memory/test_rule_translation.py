"""Which rules travel between spaces, as what, and why others do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_space import NARROW, WIDE, plain

from vitruvius.memory.transfer.space_overlap import carry_rule
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.cells.transnas import TransNas
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    check_rule,
    holds,
)
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import reference_features

NB201, TRANSNAS, MACRO = Cell(), TransNas(), Macro()


def require(*conditions: Condition) -> Rule:
    return Rule(stance="require", all=conditions)


def test_rules_within_a_space_stay_as_they_are() -> None:
    rule = require(
        RangeCondition(feature="paths", at_least=2),
        SlotCondition(slot="edge_0_3", choices=("none",)),
    )
    assert carry_rule(rule, NB201, Cell(channels=16, cells=5)) is rule


slot_conditions = st.builds(
    lambda slot, choices: SlotCondition(slot=slot, choices=tuple(sorted(choices))),
    st.sampled_from([slot.name for slot in NB201.slots]),
    st.sets(st.sampled_from(NB201.slots[0].names), min_size=1, max_size=4),
)
numbers = [f for f in NB201.features if f.kind in ("count", "ordinal", "share")]
range_conditions = st.builds(
    lambda feature, bound, at_least: (
        RangeCondition(feature=feature.name, at_least=bound)
        if at_least
        else RangeCondition(feature=feature.name, at_most=bound)
    ),
    st.sampled_from(numbers),
    st.sampled_from([0.0, 1 / 3, 0.5, 1.0, 2.0, 3.0]),
    st.booleans(),
)
trend_conditions = st.builds(
    lambda feature, trend: TrendCondition(feature=feature.name, trend=trend),
    st.sampled_from(numbers),
    st.sampled_from(["up", "down"]),
)
rules = st.builds(
    lambda stance, conditions: Rule(stance=stance, all=tuple(conditions)),
    st.sampled_from(["require", "avoid"]),
    st.lists(
        st.one_of(slot_conditions, range_conditions, trend_conditions), min_size=1, max_size=3
    ),
)


@settings(max_examples=150, deadline=None)
@given(rule=rules)
def test_a_carried_rule_fits_and_means_about_the_same_or_a_sentence_says_why_not(
    rule: Rule,
) -> None:
    carried = carry_rule(rule, NB201, TRANSNAS)
    if isinstance(carried, str):
        assert carried.endswith(".")
        assert len(carried.split()) > 4
        return
    check_rule(carried, TRANSNAS)
    assert carried.stance == rule.stance
    assert len(carried.all) == len(rule.all)
    met = holds(carried, TRANSNAS, reference_features(TRANSNAS))
    assert 0 < met.mean() < 1
    for old, new in zip(rule.all, carried.all, strict=True):
        assert type(old) is type(new)
        if isinstance(old, SlotCondition) and isinstance(new, SlotCondition):
            assert set(new.choices) == set(old.choices) & set(TRANSNAS.slots[0].names)
        if isinstance(old, RangeCondition) and "share" not in old.feature:
            here = holds(require(old), NB201, reference_features(NB201)).mean()
            there = holds(require(new), TRANSNAS, reference_features(TRANSNAS)).mean()
            assert here / 2 <= there <= 2 * here


@settings(max_examples=60, deadline=None)
@given(
    low=st.sampled_from([8, 16, 20, 24]),
    high=st.sampled_from([None, 24, 32]),
    kind=st.sampled_from(["conv", "pool"]),
)
def test_a_bound_holds_for_the_twins_of_those_it_held_for(
    low: int, high: int | None, kind: str
) -> None:
    rule = require(
        RangeCondition(feature="width", at_least=low, at_most=high),
        SlotCondition(slot="layer_1", choices=(kind,)),
    )
    carried = carry_rule(rule, NARROW, WIDE)
    if low == 8 and high in (None, 32):
        assert carried == "The bounds on width leave out nothing of narrow, so they say nothing."
        return
    assert isinstance(carried, Rule)
    to_wide = dict(zip(("8", "16", "24", "32"), ("100", "200", "400", "1000"), strict=True))
    rng = np.random.default_rng(1)
    draws = [NARROW.sample(rng) for _ in range(100)]
    twins = [WIDE.parse({**a.spec, "width": to_wide[a.spec["width"]]}) for a in draws]
    np.testing.assert_array_equal(
        holds(rule, NARROW, NARROW.featurise(draws)), holds(carried, WIDE, WIDE.featurise(twins))
    )


def test_choices_of_a_numbered_slot_travel_as_a_range() -> None:
    carried = carry_rule(require(SlotCondition(slot="width", choices=("24", "32"))), NARROW, WIDE)
    assert isinstance(carried, Rule)
    met = holds(carried, WIDE, reference_features(WIDE))
    widths = reference_features(WIDE)[:, 0]
    np.testing.assert_array_equal(met, widths >= 400)


@pytest.mark.parametrize(
    ("rule", "target", "sentence"),
    [
        (require(SlotCondition(slot="edge_0_3", choices=("avg_pool_3x3",))), TRANSNAS,
         "Slot edge_0_3 of transnas has no choice avg_pool_3x3."),
        (require(SlotCondition(slot="edge_0_3", choices=("none",))), MACRO,
         "macro has no slot edge_0_3 like that of nb201."),
        (require(TrendCondition(feature="pooling", trend="up")), TRANSNAS,
         "transnas has no pooling of the kind that nb201 has."),
        (require(RangeCondition(feature="depth", at_least=2)), MACRO,
         "macro has no depth of the kind that nb201 has."),
        (require(RangeCondition(feature="paths", at_least=0)), TRANSNAS,
         "The bounds on paths leave out nothing of nb201, so they say nothing."),
        (require(RangeCondition(feature="share(kind=conv)", at_least=2)), TRANSNAS,
         "In transnas no architecture satisfies the rule, so it says nothing."),
        (require(SlotCondition(slot="edge_0_1", choices=TRANSNAS.slots[0].names)), TRANSNAS,
         "Slot edge_0_1 of transnas has no other choices, so that says nothing."),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_travel_is_refused_with_the_reason(
    rule: Rule, target: SlotSpace, sentence: str
) -> None:
    assert carry_rule(rule, NB201, target) == sentence


def test_numbers_with_a_gap_and_bounds_without_a_counterpart_are_refused() -> None:
    gap = require(SlotCondition(slot="width", choices=("8", "32")))
    assert carry_rule(gap, NARROW, WIDE) == "The choices 8, 32 of width leave a gap."
    skewed = plain("skewed", (1, 2))
    fine = plain("fine", tuple(range(1, 21)))
    most = require(RangeCondition(feature="width", at_least=20))  # one in twenty
    refusal = carry_rule(most, fine, skewed)
    assert isinstance(refusal, str)
    assert "no bound does so for about as much of skewed" in refusal
