"""A run's closed trials, summed up one by one: what a step reads costs the same at any length."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field

from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

NOT_SEARCH = (Origin.CONTROL, Origin.CONFIRM)


@dataclass(kw_only=True)
class Digest:
    """Sums over closed trials in order of number. Holds nothing that the ledger does not."""

    metric: Metric
    last: int = 0  # number of the last trial
    search: list[Trial] = field(default_factory=list)  # what chairs and statistics may see
    origins: Counter[Origin] = field(default_factory=Counter)
    results: dict[int, Architecture] = field(default_factory=dict)
    seen: set[Architecture] = field(default_factory=set)  # by the search
    counts: Counter[Architecture] = field(default_factory=Counter)  # trials of any origin
    sums: dict[Architecture, tuple[int, float]] = field(default_factory=dict)
    since_best: int = 0  # search trials since the best one
    best: float = -math.inf  # times the metric's sign
    trained: tuple[int, float] = (0, 0.0)  # trainings of the search, and their seconds

    def add(self, trial: Trial) -> None:
        """Takes in the next closed trial."""
        self.last = trial.number
        self.origins[trial.origin] += 1
        self.counts[trial.architecture] += 1
        self.results[trial.result_id] = trial.architecture
        if trial.origin in NOT_SEARCH:
            return
        self.search.append(trial)
        self.seen.add(trial.architecture)
        if trial.train_s and not trial.reused:
            self.trained = (self.trained[0] + 1, self.trained[1] + trial.train_s)
        self.since_best += 1
        if trial.value is None:
            return
        value = self.metric.sign * trial.value
        count, total = self.sums.get(trial.architecture, (0, 0.0))
        self.sums[trial.architecture] = (count + 1, total + value)
        if value > self.best:
            self.best, self.since_best = value, 0

    @property
    def train_s(self) -> float:
        """Mean seconds of a training, 0 before the first."""
        count, total = self.trained
        return total / count if count else 0.0

    def leaders(self, count: int) -> list[Architecture]:
        """Returns the best architectures by mean validation value over seeds, first found first."""
        return heapq.nlargest(
            count, self.sums, key=lambda found: self.sums[found][1] / self.sums[found][0]
        )
