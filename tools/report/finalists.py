"""The run's answer: which architecture, and what fresh seeds say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import Finalist
from vitruvius.tools.report.statistics import estimates

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
