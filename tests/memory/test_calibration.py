"""Proxies are judged by rank correlation with the run's results, with an interval."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from vitruvius.memory.evidence.calibration import calibrate
from vitruvius.memory.records import Score, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

UP, DOWN = Metric(name="accuracy"), Metric(name="loss", direction="min")


def architecture(i: int) -> Architecture:
    return Architecture.of({"x": i})


def run(n: int, seed: int = 0) -> tuple[list[Score], list[Trial], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    proxy = rng.standard_normal(n)
    value = proxy + rng.standard_normal(n)
    scores = [
        Score(proxy="naswot", architecture=architecture(i), value=float(p), wall_s=0.0)
        for i, p in enumerate(proxy)
    ]
    trials = [
        closed_trial(i + 1, architecture(i), float(v), params=100 - i, flops=5)
        for i, v in enumerate(value)
    ]
    return scores, trials, proxy, value


def test_correlation_is_spearmans_with_parameters_and_flops_beside() -> None:
    scores, trials, proxy, value = run(30)
    found = {row.proxy: row for row in calibrate(scores, trials, UP)}
    assert sorted(found) == ["flops", "naswot", "params"]
    assert found["naswot"].n == 30
    assert found["naswot"].spearman == pytest.approx(spearmanr(proxy, value).statistic)
    assert found["params"].spearman == pytest.approx(spearmanr(-np.arange(30), value).statistic)
    assert (found["flops"].spearman, found["flops"].low, found["flops"].high) == (0.0, -1.0, 1.0)


def test_less_is_better_turns_the_sign() -> None:
    scores, trials, *_ = run(20)
    up, down = (calibrate(scores, trials, metric) for metric in (UP, DOWN))
    assert [row.spearman for row in up] == pytest.approx([-row.spearman for row in down])


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    _, _, proxy, value = run(20_000, seed=99)
    truth = spearmanr(proxy, value).statistic
    hits = 0
    for seed in range(100):
        scores, trials, *_ = run(25, seed)
        row = next(r for r in calibrate(scores, trials, UP) if r.proxy == "naswot")
        hits += row.low <= truth <= row.high
    assert 0.9 <= hits / 100 <= 0.99


def test_few_or_unscored_pairs_say_nothing() -> None:
    scores, trials, *_ = run(3)
    unscored = [Score(proxy="snip", architecture=architecture(0), value=None, wall_s=0.0)]
    found = {row.proxy: row for row in calibrate([*scores, *unscored], trials, UP)}
    assert "snip" not in found
    assert (found["naswot"].low, found["naswot"].high) == (-1.0, 1.0)
    assert calibrate([], [], UP) == []


def test_repeats_of_an_architecture_count_once() -> None:
    scores, trials, *_ = run(10)
    again = [closed_trial(11, architecture(0), trials[0].value, seed=1)]
    found = calibrate(scores, [*trials, *again], UP)
    assert all(row.n == 10 for row in found if row.proxy == "naswot")


def test_a_degenerate_score_ranks_below_all_others_and_a_missing_one_nowhere() -> None:
    trials = [closed_trial(i + 1, architecture(i), float(i)) for i in range(6)]
    notes = ["degenerate: the value is nan", "it needs convolutions", "", "", "", ""]
    scores = [
        Score(
            proxy="zen",
            architecture=architecture(i),
            value=None if note else -5.0 * i,
            wall_s=0.0,
            note=note,
        )
        for i, note in enumerate(notes)
    ]
    row = next(r for r in calibrate(scores, trials, UP) if r.proxy == "zen")
    assert row.n == 5
    lowest, rest = -100.0, [-10.0, -15.0, -20.0, -25.0]
    expected = spearmanr([lowest, *rest], [0, 2, 3, 4, 5]).statistic
    assert row.spearman == pytest.approx(expected)
