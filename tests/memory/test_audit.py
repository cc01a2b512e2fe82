"""Audits find what was planted: what dominates, what is dead, what acts together only."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from vitruvius.memory.audit.factors import Factors, spreads
from vitruvius.memory.audit.shares import main_share, pair_share, redrawn_share, total_share
from vitruvius.memory.audit.size import effective_number, indistinct_share, removed_by, size_of
from vitruvius.memory.audit.variance import FactorShare, explain
from vitruvius.memory.evidence.contrasts import describe_population
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.model.row_selection import as_trials
from vitruvius.memory.records import GivenRow, ResultStatus
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.rules import RangeCondition, Rule
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, FloatArray, Slot
from vitruvius.spaces.transformers.space import FlexiBertTrained
from vitruvius.tasks.task import Metric

METRIC = Metric(name="score", direction="max", unit="")
Score = Callable[[FloatArray], FloatArray]


def ordinal_space(slots: int = 5, choices: int = 4) -> SlotSpace:
    values = tuple(Choice(name=str(n), value=n) for n in range(choices))
    return SlotSpace(
        f"planted{slots}x{choices}", [Slot(name=f"s{n}", choices=values) for n in range(slots)]
    )


def drawn(space: SlotSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    while len(found) < count:
        found[space.sample(rng)] = None
    return list(found)


def shares(
    space: SlotSpace,
    sample: Sequence[Architecture],
    score: Score,
    noise: float = 0.3,
    propensity: float | None = 1.0,
) -> tuple[dict[str, FactorShare], list[tuple[str, str, bool]]]:
    indices = space.indices(sample).astype(np.float64)
    values = score(indices) + noise * np.random.default_rng(7).normal(size=len(sample))
    rows = [
        GivenRow(
            architecture=one,
            fidelity="1ep",
            seed=0,
            status=ResultStatus.DONE,
            value=value,
            propensity=propensity,
        )
        for one, value in zip(sample, values.tolist(), strict=True)
    ]
    lesson = learn(as_trials(rows), METRIC)
    found, pairs = explain(space, lesson, describe_population(space, lesson))
    by_name = {one.name: one for one in found}
    return by_name, [(pair.first, pair.second, pair.is_modelled) for pair in pairs]


def test_shares_of_an_additive_score_are_those_of_its_variances() -> None:
    grid = np.array(np.meshgrid([0, 1, 2, 3], [0, 1, 2, 3], [0, 1])).reshape(3, -1)
    values = (3 * grid[0] + grid[1])[None].astype(float)
    first, second = (
        float(main_share(np.repeat(values, 40, axis=1), np.repeat(c, 40))[0]) for c in grid[:2]
    )
    assert (first, second) == pytest.approx((0.9, 0.1), abs=0.01)
    assert float(main_share(values, grid[2])[0]) == 0.0
    assert abs(float(pair_share(values, grid[0], grid[1])[0])) < 0.15
    others = total_share(values, grid[1] * 10 + grid[2])
    assert others is not None
    assert float(others[0]) == pytest.approx(0.9 * 4 / 3, abs=0.21)  # capped at 1


def test_a_factor_that_cannot_be_held_fixed_has_no_total() -> None:
    values = np.arange(10.0)[None]
    assert total_share(values, np.arange(10)) is None


def test_a_redrawn_factor_without_effect_has_a_total_of_zero() -> None:
    before = np.random.default_rng(0).normal(size=(2, 50))
    assert redrawn_share(before, before).tolist() == [0.0, 0.0]


def test_a_dominating_and_dead_factors_are_named() -> None:
    space = ordinal_space()
    found, _ = shares(space, drawn(space, 100), lambda x: 3 * x[:, 0] + x[:, 1])
    assert found["s0"].verdict == "dominates"
    assert found["s0"].main.value == pytest.approx(0.85, abs=0.12)  # ranks bend 0.9 a little
    assert found["s1"].verdict in ("carries", "small")
    assert {found[name].verdict for name in ("s2", "s3", "s4")} <= {"dead", "small", "unclear"}
    assert sum(found[name].verdict == "dead" for name in ("s2", "s3", "s4")) >= 2
    for one in found.values():
        assert one.main.low <= one.main.value <= one.main.high
        assert one.total is not None
    assert next(iter(found)) == "s0"  # most first


def test_an_effect_of_two_factors_together_only_is_found() -> None:
    space = ordinal_space(slots=4, choices=2)
    sample = drawn(space, 16)
    found, pairs = shares(space, sample, lambda x: x[:, 0] + 3 * np.abs(x[:, 1] - x[:, 2]), 0.05)
    assert ("s1", "s2", True) in pairs or ("s2", "s1", True) in pairs
    total = found["s1"].total
    assert total is not None
    assert total.value > 0.5
    assert found["s1"].main.value < 0.2


def test_a_pair_that_the_model_misses_is_not_taken_for_dead() -> None:
    space = ordinal_space()
    found, pairs = shares(
        space,
        drawn(space, 100),
        lambda x: 3 * x[:, 0] + x[:, 1] + 3 * ((x[:, 2] + x[:, 3]) % 2),
    )
    assert ("s2", "s3", False) in pairs
    assert {found["s2"].verdict, found["s3"].verdict} <= {"unclear", "small"}


def test_a_sample_drawn_unlike_the_space_is_told_from_it() -> None:
    space = ordinal_space(slots=3)
    every = drawn(space, 60)
    rare = [one for one in every if one.spec["s0"] == "0"]
    sample = [*[one for one in every if one.spec["s0"] == "3"], *rare[:2]]
    skewed, _ = shares(space, sample, lambda x: 2 * x[:, 0] + x[:, 1], 0.1, None)
    assert skewed["s0"].sample < 0.45  # the sample hides what the factor does in the space: 0.8
    assert skewed["s0"].main.value > skewed["s0"].sample


def test_labels_of_pure_noise_let_nothing_dominate() -> None:
    space = ordinal_space()
    found, _ = shares(space, drawn(space, 80), lambda x: 0 * x[:, 0], noise=1.0)
    assert "dominates" not in {one.verdict for one in found.values()}


def test_features_of_slots_are_derived_and_a_parameter_count_too() -> None:
    cell = {factor.name: factor.is_derived for factor in Factors.of(Cell()).every}
    assert not cell["edge_0_1"]
    assert cell["share(kind=conv)"]
    derived = {f.name: f.is_derived for f in Factors.of(FlexiBertTrained()).every}
    assert derived["log2_params"]
    assert not derived["depth"]
    assert not derived["hidden"]


def test_equally_likely_kinds_count_in_full_and_hardly_a_repeat_says_nothing() -> None:
    assert effective_number(np.full(10, 30)) == pytest.approx(10, rel=1e-6)
    assert effective_number(np.ones(50, dtype=int)) is None


def test_sizes_are_those_of_the_published_spaces() -> None:
    size = size_of(FlexiBertTrained())
    assert (size.nominal, size.distinct) == (10_621_440, 2_664)
    assert size.effective is not None
    assert 300 < size.effective < 1_500  # half of the draws are of the 72 shallow networks
    assert size.same_features > 0.2  # the order of inner layers is in no feature


def test_removed_shares_go_by_draws_by_networks_and_by_specifications() -> None:
    space = FlexiBertTrained()
    rule = Rule(stance="require", all=(RangeCondition(feature="depth", at_least=4),))
    removed = removed_by(space, [rule], [])
    assert removed.sampler == pytest.approx(0.5, abs=0.03)
    assert removed.distinct == pytest.approx(72 / 2664)
    assert removed.nominal == pytest.approx(2 * 48**2 / 10_621_440)


def test_spreads_tell_how_the_sampler_draws() -> None:
    found = {one.name: one for one in spreads(FlexiBertTrained())}
    assert found["depth"].values == 2
    assert found["depth"].most_common == pytest.approx(0.5, abs=0.05)


def test_without_effects_no_two_architectures_can_be_told_apart() -> None:
    space = ordinal_space(slots=3)
    rows = [
        GivenRow(architecture=one, fidelity="1ep", seed=0, status=ResultStatus.DONE, value=value)
        for one, value in zip(
            drawn(space, 40), np.random.default_rng(0).normal(size=40).tolist(), strict=True
        )
    ]
    lesson = learn(as_trials(rows), METRIC)
    assert indistinct_share(space, describe_population(space, lesson)) > 0.9
