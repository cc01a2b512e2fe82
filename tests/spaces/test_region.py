"""Regions: cut, undo, sample inside, refuse to leave too little."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.region import CLOSE_DRAWS, MIN_FRACTION, MIN_MEMBERS, Cut, Region
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import (
    REFERENCE_DRAWS,
    Choice,
    SearchSpace,
    Slot,
    reference_features,
    reference_sample,
)

SPACES: tuple[SearchSpace, ...] = (Cell(), Macro())


def cut(number: int, stance: str, *conditions: dict[str, object]) -> Cut:
    rule = Rule.model_validate({"stance": stance, "all": list(conditions)})
    return Cut(number=number, rule=rule, principle=f"P{number}.1", reason="measured")


def cuts_of(space: SearchSpace) -> st.SearchStrategy[Rule]:
    slots = st.sampled_from(space.slots).flatmap(
        lambda slot: st.sampled_from(slot.names).map(
            lambda choice: {"slot": slot.name, "choices": [choice]}
        )
    )
    counts = [f.name for f in space.features if f.kind != "bool"]
    trends = st.builds(
        lambda name, trend: {"feature": name, "trend": trend},
        st.sampled_from(counts),
        st.sampled_from(["up", "down"]),
    )
    return st.builds(
        lambda stance, conditions: Rule.model_validate({"stance": stance, "all": conditions}),
        st.sampled_from(["require", "avoid"]),
        st.lists(slots | trends, min_size=1, max_size=2),
    )


space_and_rules = st.sampled_from(SPACES).flatmap(
    lambda space: st.tuples(st.just(space), st.lists(cuts_of(space), min_size=1, max_size=4))
)


def cut_all(space: SearchSpace, rules: list[Rule]) -> Region:
    region = Region(space)
    for number, rule in enumerate(rules, 1):
        made = Cut(number=number, rule=rule, principle="P1.1", reason="drawn")
        with suppress(ToolError):  # too little would be left
            region = region.with_cut(made)
    return region


@settings(deadline=None)
@given(case=space_and_rules)
def test_a_region_is_what_satisfies_every_rule(case: tuple[SearchSpace, list[Rule]]) -> None:
    space, rules = case
    region = cut_all(space, rules)
    features = reference_features(space)
    expected = np.ones(len(features), dtype=bool)
    for made in region.cuts:
        expected &= holds(made.rule, space, features)
    assert (region.mask(features) == expected).all()
    assert region.fraction() == expected.mean()


@settings(deadline=None)
@given(case=space_and_rules)
def test_undoing_a_cut_gives_the_region_without_it(case: tuple[SearchSpace, list[Rule]]) -> None:
    space, rules = case
    region = cut_all(space, rules)
    for made in region.cuts:
        less = region.without(made.number)
        assert made not in less.cuts
        assert less.fraction() >= region.fraction()
        again = less.with_cut(made)
        assert set(again.cuts) == set(region.cuts)
        assert again.without(made.number) == less
    assert region.without(99) == region


@settings(deadline=None, max_examples=40)
@given(case=space_and_rules, seed=st.integers(0, 2**32))
def test_samples_and_neighbours_lie_inside(case: tuple[SearchSpace, list[Rule]], seed: int) -> None:
    space, rules = case
    region = cut_all(space, rules)
    drawn = region.sample(np.random.default_rng(seed))
    assert drawn == region.sample(np.random.default_rng(seed))
    assert region.contains(drawn)
    near = region.neighbours(drawn)
    assert near == [other for other in space.neighbours(drawn) if region.contains(other)]


@settings(deadline=None, max_examples=40)
@given(case=space_and_rules)
def test_what_is_left_is_never_too_small(case: tuple[SearchSpace, list[Rule]]) -> None:
    space, rules = case
    region = cut_all(space, rules)
    members = space.members()
    assert members is not None
    assert region.mask(space.featurise(members)).sum() >= MIN_MEMBERS
    closely = region.mask(reference_features(space, CLOSE_DRAWS))
    assert closely.mean() >= MIN_FRACTION
    assert region.too_small() is None


def test_sampling_in_a_region_is_the_sampler_given_the_region() -> None:
    region = Region(Cell()).with_cut(cut(1, "require", {"feature": "depth", "at_least": 2}))
    rng = np.random.default_rng(0)
    drawn = [region.sample(rng) for _ in range(2000)]
    column = [f.name for f in Cell().features].index("paths")
    inside = region.mask(reference_features(Cell()))
    expected = reference_features(Cell())[inside, column]
    found = Cell().featurise(drawn)[:, column]
    for paths in range(1, 5):
        assert (found == paths).mean() == pytest.approx((expected == paths).mean(), abs=0.05)


def test_a_cut_that_leaves_too_few_is_refused_with_the_number() -> None:
    only_skip = {"feature": "paths(skip)", "at_least": 4}
    with pytest.raises(ToolError, match=r"cut refused: it would leave 1 architectures; .* 20"):
        Region(Cell()).with_cut(cut(1, "require", only_skip))


def test_a_cut_by_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ToolError, match="no feature 'beauty'"):
        Region(Cell()).with_cut(cut(1, "require", {"feature": "beauty", "at_least": 1}))


def test_two_cuts_cannot_share_a_number() -> None:
    region = Region(Cell()).with_cut(cut(1, "require", {"feature": "depth", "at_least": 1}))
    with pytest.raises(ConfigError, match="a cut 1 already"):
        region.with_cut(cut(1, "require", {"feature": "paths", "at_least": 1}))


def test_a_space_too_large_to_list_is_judged_by_its_reference_sample() -> None:
    bits = tuple(Choice(name=name, traits={"bit": name}) for name in ("0", "1"))
    space = SlotSpace("bits", [Slot(name=f"b{i}", choices=bits) for i in range(20)])
    assert space.members() is None

    def kept(share: float) -> float:
        rule = {"feature": "share(bit=1)", "at_least": share}
        return Region(space).with_cut(cut(1, "require", rule)).fraction()

    assert kept(0.5) == pytest.approx(0.588, abs=0.05)  # binomial: 10 or more ones of 20
    assert kept(0.85) == pytest.approx(0.0013, abs=0.002)  # 17 or more
    with pytest.raises(ToolError, match="cut refused: it would leave"):
        kept(0.9)  # 18 or more: 0.0002


def test_an_exhausted_region_says_so() -> None:
    nothing = cut(1, "require", {"feature": "depth", "at_least": 9})
    with pytest.raises(ToolError, match="undo a cut to widen it"):
        Region(Cell(), (nothing,)).sample(np.random.default_rng(0))


def test_the_reference_sample_is_fixed_and_shared_by_equal_spaces() -> None:
    sample = reference_sample(Cell())
    assert len(sample) == REFERENCE_DRAWS
    assert reference_sample(Cell()) is sample
    rng = np.random.default_rng(0)
    assert sample[:3] == tuple(Cell().sample(rng) for _ in range(3))
