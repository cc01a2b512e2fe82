"""What a run may use of other runs: their evaluated architectures, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vitruvius.memory.records import Score, Trial
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Metric

MEMORY, NONE = "memory", "none"  # in place of a run's id: everything that fits, and nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The trials of another run, on its own space and metric. Never those of the run that reads it.

    `trust` in [0, 1] weighs its word before the reading run has trials of its own.
    """

    run_id: str
    task_name: str
    space: SearchSpace
    metric: Metric
    trials: Sequence[Trial]
    trust: float
    scores: Sequence[Score] = ()  # of proxies, for these trials' architectures
