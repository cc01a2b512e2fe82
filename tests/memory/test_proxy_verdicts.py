"""A proxy that does no better than parameter count or depth is demoted."""

import numpy as np
import pytest

from vitruvius.memory.evidence.calibration import MIN_JUDGED, Verdict, calibrate, demoted, verdict
from vitruvius.memory.records import Calibration, Score
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric


def judged(n: int, seed: int = 0) -> dict[str, Calibration]:
    """Returns calibrations of a proxy that adds to the size, one that repeats it, a null one."""
    rng = np.random.default_rng(seed)
    size, own = rng.standard_normal((2, n))
    value = size + own + 0.3 * rng.standard_normal(n)
    columns = {
        "adds": own + 0.3 * rng.standard_normal(n),
        "repeats": size + 0.1 * rng.standard_normal(n),
        "null": rng.standard_normal(n),
    }
    names = [Architecture.of({"x": i}) for i in range(n)]
    scores = [
        Score(proxy=proxy, architecture=names[i], value=float(column[i]), wall_s=0.0)
        for proxy, column in columns.items()
        for i in range(n)
    ]
    trials = [
        closed_trial(i + 1, names[i], float(value[i]), params=int(1e6 + 1e5 * size[i]))
        for i in range(n)
    ]
    return {row.proxy: row for row in calibrate(scores, trials, Metric(name="accuracy"))}


def test_what_only_counts_is_demoted_and_what_adds_is_not() -> None:
    found = judged(MIN_JUDGED)
    assert found["repeats"].spearman > 0.3
    assert found["repeats"].given == ("params",)
    assert verdict(found["adds"]) == Verdict.PREDICTS
    assert verdict(found["params"]) == Verdict.COUNTED
    assert demoted(list(found.values())) == {"repeats", "null"}


def test_few_trials_demote_nothing() -> None:
    assert not demoted(list(judged(MIN_JUDGED - 1).values()))


def test_a_planted_null_proxy_is_demoted_nearly_always() -> None:
    found = [verdict(judged(60, seed)["null"]) for seed in range(40)]
    assert found.count(Verdict.DEMOTED) >= 35


def test_a_proxy_that_is_all_degenerate_is_left_out_and_one_that_is_partly_ranks_it_last() -> None:
    names = [Architecture.of({"x": i}) for i in range(6)]
    trials = [closed_trial(i + 1, name, float(i)) for i, name in enumerate(names)]
    values = {"dead": [None] * 6, "partly": [None, 1.0, 2.0, 3.0, 4.0, 5.0]}
    scores = [
        Score(proxy=proxy, architecture=name, value=value, wall_s=0.0)
        for proxy, column in values.items()
        for name, value in zip(names, column, strict=True)
    ]
    found = calibrate(scores, trials, Metric(name="accuracy"))
    assert [row.proxy for row in found] == ["partly"]
    assert found[0].spearman == pytest.approx(1.0)
