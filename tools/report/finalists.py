"""The run's answer: which architecture, what fresh seeds say of it, and what it is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Metric
from vitruvius.tools.drawing import draw_svg
from vitruvius.tools.report.facts import Baseline, Finalist, Noise
from vitruvius.tools.report.statistics import TAIL, UNIFORM, estimates, t_quantile

UNCONFIRMED = 3  # how many are listed where nothing was trained again


def finalists(
    trials: Sequence[Trial], tests: Mapping[int, float], metric: Metric
) -> list[Finalist]:
    """Returns the finalists, best first: by the mean over fresh seeds where there are any.

    The search's own trials put an architecture forward but do not judge it then: the best of many
    noisy numbers is biased. Without confirmations the order is that of the mean over all its seeds.
    The control arm's trials measure the search and are no part of it.
    """
    done = [trial for trial in trials if trial.value is not None]
    search = _grouped([t for t in done if t.origin not in (Origin.CONTROL, Origin.CONFIRM)])
    fresh = _grouped([trial for trial in done if trial.origin == Origin.CONFIRM])
    judged = fresh or search
    ranked = sorted(judged, key=lambda a: -metric.sign * _mean(judged[a]))
    if not fresh:
        ranked = ranked[:UNCONFIRMED]
    columns = zip(
        estimates([_values(search.get(a, ())) for a in ranked]),
        estimates([_values(fresh.get(a, ())) for a in ranked]),
        estimates([_tests(judged[a], tests) for a in ranked]),
        strict=True,
    )
    return [
        Finalist(
            architecture=architecture,
            found=(search.get(architecture) or judged[architecture])[0],
            search=seen,
            confirmed=confirmed,
            test=test,
        )
        for architecture, (seen, confirmed, test) in zip(ranked, columns, strict=True)
    ]


def _grouped(trials: Sequence[Trial]) -> dict[Architecture, list[Trial]]:
    groups: dict[Architecture, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.architecture, []).append(trial)
    return groups


def _mean(trials: Sequence[Trial]) -> float:
    return sum(trial.value or 0.0 for trial in trials) / len(trials)


def _values(trials: Sequence[Trial]) -> dict[int, float]:
    return {trial.number: trial.value for trial in trials if trial.value is not None}


def _tests(trials: Sequence[Trial], tests: Mapping[int, float]) -> dict[int, float]:
    return {trial.number: tests[trial.number] for trial in trials if trial.number in tests}


def kept_weights(
    architecture: Architecture, trials: Sequence[Trial], weights: Mapping[int, str], metric: Metric
) -> tuple[int, str] | None:
    """Returns trial and path of the architecture's best weights that are still there.

    Best by validation. The run that trained a reused result may have deleted its weights.
    """
    mine = [
        trial
        for trial in trials
        if trial.architecture == architecture
        and trial.value is not None
        and trial.number in weights
        and Path(weights[trial.number]).is_file()
    ]
    if not mine:
        return None
    best = max(mine, key=lambda trial: (metric.sign * (trial.value or 0.0), -trial.number))
    return best.number, weights[best.number]


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
