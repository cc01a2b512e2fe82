"""The front holds what nothing of the same size or smaller beats."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from vitruvius.memory.records import Trial
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.task import Metric
from vitruvius.tools.plots.pareto import front_of
from vitruvius.tools.report import Report


@pytest.fixture(scope="module")
def trials(read_report: Report) -> list[Trial]:
    """Random sizes and values, some equal, some architectures twice, some not measured."""
    rng, like = np.random.default_rng(0), read_report.trials[0]
    space = load_space("nb201")
    archs = [space.sample(rng) for _ in range(30)]
    sizes = {arch: int(rng.integers(1, 12)) * 100 for arch in archs}
    made = [
        replace(like, number=n, architecture=arch, params=sizes[arch],
                value=float(rng.integers(60, 75)), reused=False)
        for n, arch in enumerate(archs + archs[:6], start=1)
    ]  # fmt: skip
    return [*made, replace(like, number=99, value=None), replace(like, number=98, params=None)]


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_front_is_that_of_the_slow_version(trials: list[Trial], direction: str) -> None:
    metric = Metric(name="accuracy", direction=direction, unit="%")  # type: ignore[arg-type]
    found = front_of(trials, metric)
    assert [one.params for one in found] == sorted(one.params for one in found)
    assert sorted(n for one in found for n in one.trials) == list(range(1, 37))
    for one in found:
        mine = [t.value for t in trials if t.number in one.trials]
        assert one.value == pytest.approx(np.mean(np.array(mine)))
    on_front = {(one.params, one.value) for one in found if one.is_on_front}
    slow = {
        (a.params, a.value)
        for a in found
        if not any(
            b.params <= a.params
            and metric.sign * b.value >= metric.sign * a.value
            and (b.params, b.value) != (a.params, a.value)
            for b in found
        )
    }
    assert on_front == slow


def test_of_equals_one_is_on_the_front(trials: list[Trial]) -> None:
    metric = Metric(name="accuracy", direction="max", unit="%")
    front = [one for one in front_of(trials, metric) if one.is_on_front]
    assert not any(a.params == b.params for a, b in product(front, front) if a is not b)
