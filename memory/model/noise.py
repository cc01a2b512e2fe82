"""The noise between seeds, from repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vitruvius.memory.model.ranking import quality
from vitruvius.memory.records import Trial
from vitruvius.tasks.task import Metric


def noise_floor(trials: Sequence[Trial], metric: Metric) -> float | None:
    """Returns the standard deviation between seeds, in the metric's unit; None if not measured.

    Pooled over architectures with several seeds; only over those at or above the median of all
    trials, where there are any: noise near the top is what selection has to deal with.
    """
    values: dict[tuple[object, str], list[float]] = {}
    for trial in trials:
        if (rated := quality(trial, metric)) is not None and math.isfinite(rated):
            values.setdefault((trial.architecture, trial.fidelity), []).append(rated)
    repeated = [np.array(group) for group in values.values() if len(group) > 1]
    if not repeated:
        return None
    middle = float(np.median([v for group in values.values() for v in group]))
    near_top = [group for group in repeated if group.mean() >= middle] or repeated
    freedom = sum(len(group) - 1 for group in near_top)
    return float(np.sqrt(sum(((g - g.mean()) ** 2).sum() for g in near_top) / freedom))
