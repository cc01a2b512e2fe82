"""The untried architectures that the model of the run thinks most of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from vitruvius.memory.evidence.population import describe_population
from vitruvius.memory.model.cost_hints import keeps_limits
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import Trial
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import (
    Architecture,
    FloatArray,
    SearchSpace,
    distinct_reference,
    reference_features,
    reference_sample,
)
from vitruvius.tasks.task import Task
from vitruvius.tools.report.facts import Promising

SHOWN = 5
LEAST_FITTED = 8  # trials from which a chance means something
NEAR = 300  # neighbours of the best trial that are looked at


def promising_of(
    space: SearchSpace,
    task: Task,
    trials: Sequence[Trial],
    lesson: Lesson,
    region: Region,
) -> list[Promising]:
    """Returns up to `SHOWN` untried architectures by their chance to beat the best trial.

    Looked for among the reference sample of the space and the neighbours of the best trial, outside
    cuts too; those known to break a limit of the task are left out. The chance is that of one
    training, noise included, by the model of the run's own trials.
    """
    if len(lesson.trials) < LEAST_FITTED:
        return []
    scores = describe_population(space, lesson).scores
    features = space.featurise([trial.architecture for trial in lesson.trials])
    model = Surrogate.fit(space, features, scores)
    best = lesson.trials[int(np.argmax(scores))].architecture
    tried = {trial.architecture for trial in trials}
    known, rows = _reference(space)
    near = [a for a in space.neighbours(best)[:NEAR] if a not in tried]
    free = [place for place, each in enumerate(known) if each not in tried]
    candidates = [*(known[place] for place in free), *near]
    if not candidates:
        return []
    there = np.vstack([rows[free], space.featurise(near)]) if near else rows[free]
    posterior = model.at(there)
    spread = np.sqrt(posterior.sd**2 + model.noise_sd**2)
    chances = ndtr((posterior.mean - scores.max()) / spread)
    inside = region.mask(there)
    found: dict[Architecture, Promising] = {}
    for row in np.argsort(-chances, kind="stable").tolist():
        each = candidates[row]
        if each not in found and keeps_limits(space, task, [each])[0]:
            found[each] = Promising(
                architecture=each, chance=float(chances[row]), is_inside=bool(inside[row])
            )
        if len(found) == SHOWN:
            break
    return list(found.values())


@lru_cache(maxsize=4)
def _reference(space: SearchSpace) -> tuple[list[Architecture], FloatArray]:
    """Returns the different architectures of the reference sample and their features."""
    first, _ = distinct_reference(space)
    sample = reference_sample(space)
    return [sample[place] for place in first.tolist()], reference_features(space)[first]
