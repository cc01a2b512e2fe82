"""Cuts of an audit keep the best, stop where the labels say no more, and leave noise alone."""

import numpy as np

from vitruvius.agents.analyst.audit_cuts import LEAST_ROWS, propose_cuts
from vitruvius.memory.model.row_selection import as_trials
from vitruvius.memory.records import GivenRow, ResultStatus, Trial
from vitruvius.spaces.restricted import Inside
from vitruvius.spaces.rules import RangeCondition, Rule, holds, words
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, FloatArray, Slot
from vitruvius.tasks.task import Metric

VALUES = tuple(Choice(name=str(n), value=n) for n in range(4))
SPACE = SlotSpace("steps", [Slot(name=f"s{n}", choices=VALUES) for n in range(4)])
METRIC = Metric(name="loss", direction="min", unit="")


def score(sample: list[Architecture]) -> FloatArray:
    """Better with s0; among the better half, with s1."""
    x = SPACE.indices(sample)
    return np.asarray(4.0 * (x[:, 0] >= 2) + 2.0 * (x[:, 1] >= 2) + 0.3 * x[:, 2])


def trials(
    count: int, seed: int, noise: float, sign: float = -1.0, scale: float = 1.0
) -> list[Trial]:
    rng = np.random.default_rng(seed)
    sample = list(dict.fromkeys(SPACE.sample(rng) for _ in range(3 * count)))[:count]
    values = sign * (scale * score(sample) + noise * rng.normal(size=count))
    return as_trials(
        [
            GivenRow(architecture=a, fidelity="1ep", seed=0, status=ResultStatus.DONE, value=v)
            for a, v in zip(sample, values.tolist(), strict=True)
        ]
    )


def test_planted_steps_are_cut_one_after_another_and_the_best_stay() -> None:
    cuts = propose_cuts(SPACE, trials(90, 0, 0.4), METRIC)
    assert [words(cut.rule) for cut in cuts[:2]] == ["s0 >= 2", "s1 >= 2"]
    assert cuts[0].rows == 90 > cuts[1].rows
    members = list(SPACE.members() or ())
    features, values = SPACE.featurise(members), score(members)
    kept = np.logical_and.reduce([holds(cut.rule, SPACE, features) for cut in cuts])
    best = np.argsort(-values, kind="stable")[: len(values) // 10]
    assert kept[best].mean() >= 0.95
    for cut in cuts:
        assert 0 <= cut.loss <= cut.loss_high < 0.05


def test_noise_licenses_no_cut() -> None:
    for seed in range(4):
        assert propose_cuts(SPACE, trials(60, seed, 1.0, scale=0.0), METRIC) == []


def test_few_rows_license_no_cut() -> None:
    assert propose_cuts(SPACE, trials(LEAST_ROWS - 1, 0, 0.1), METRIC) == []


def test_a_stricter_limit_cuts_no_more() -> None:
    rows = trials(60, 1, 1.5)
    loose = propose_cuts(SPACE, rows, METRIC, limit=0.2)
    assert len(propose_cuts(SPACE, rows, METRIC, limit=0.001)) <= len(loose)


def test_what_is_left_is_a_space_whose_draws_lie_inside() -> None:
    rule = Rule(stance="require", all=(RangeCondition(feature="s0", at_least=3),))
    left = Inside(SPACE).with_rule(rule)
    rng = np.random.default_rng(0)
    sample = [left.sample(rng) for _ in range(50)]
    assert {one.spec["s0"] for one in sample} == {"3"}
    assert len(set(sample)) > 20
    assert len(left.members() or ()) == 64
    assert all(left.region.contains(near) for near in left.neighbours(sample[0]))
    assert left.region.contains(left.mutate(sample[0], rng))
    assert (left.name, left.id, left.features) == (SPACE.name, SPACE.id, SPACE.features)
