"""What the answer is held against: what drawing architectures at random found in this run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Metric
from vitruvius.tools.drawing import draw_svg
from vitruvius.tools.report.curve import UNIFORM
from vitruvius.tools.report.facts import Baseline, Finalist, Noise
from vitruvius.tools.report.statistics import TAIL, t_quantile


def baseline_of(
    space: SearchSpace,
    trials: Sequence[Trial],
    metric: Metric,
    answer: Finalist,
    noise: Noise | None,
) -> Baseline | None:
    """Returns the best draw of the random arm, or of the run's own uniform draws without one.

    Where that is the answer itself, the middle one of the draws: a typical network of the space.
    None where no uniform draw has a score.
    """
    arm = [trial for trial in trials if trial.origin == Origin.CONTROL]
    drawn = arm or [trial for trial in trials if trial.origin in UNIFORM]
    closed = [trial for trial in drawn if not trial.status.is_open]
    done = sorted(
        (trial for trial in closed if trial.value is not None),
        key=lambda trial: (-metric.sign * (trial.value or 0.0), trial.number),
    )
    if not done:
        return None
    found, among = done[0], closed
    if found.architecture == answer.architecture:
        found, among = done[len(done) // 2], done
        if found.architecture == answer.architecture:
            return None
    judged = answer.confirmed or answer.search
    if judged is None or found.value is None:
        return None
    arm_or_own: Literal["random arm", "uniform draws"] = "random arm" if arm else "uniform draws"
    return Baseline(
        kind="typical draw" if among is done else arm_or_own,
        found=found,
        among=tuple(sorted(trial.number for trial in among)),
        picture=draw_svg(space, found.architecture),
        gap=metric.sign * (judged.mean - found.value),
        half=_half(noise, len(judged.trials)),
    )


def _half(noise: Noise | None, repeats: int) -> float | None:
    """Returns the half-width that noise gives a mean of some seeds less a single number."""
    if noise is None:
        return None
    return t_quantile(1 - TAIL, noise.freedom) * noise.deviation * math.sqrt(1 / repeats + 1)
