"""What size buys: each architecture's value beside its parameters, and those that none beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vitruvius.memory.records import Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric


@dataclass(frozen=True, kw_only=True)
class Sized:
    """An architecture: mean value over its trials, parameters, and whether it is on the front."""

    value: float
    params: int
    trials: tuple[int, ...]
    is_on_front: bool


def front_of(trials: Sequence[Trial], metric: Metric) -> list[Sized]:
    """Returns the architectures whose value and parameters are known, the smallest first.

    On the front is one that none of the same size or smaller equals or beats.
    """
    groups: dict[Architecture, list[Trial]] = {}
    for trial in trials:
        if trial.value is not None and trial.params is not None:
            groups.setdefault(trial.architecture, []).append(trial)
    found = [
        (
            mine[0].params or 0,
            sum(t.value or 0.0 for t in mine) / len(mine),
            tuple(t.number for t in mine),
        )
        for mine in groups.values()
    ]
    best, sized = float("-inf"), []
    for params, value, numbers in sorted(found, key=lambda f: (f[0], -metric.sign * f[1], f[2])):
        is_better = metric.sign * value > best
        best = max(best, metric.sign * value)
        sized.append(Sized(value=value, params=params, trials=numbers, is_on_front=is_better))
    return sized
