"""Trials become normal scores of ranks; failures that say something rank worst."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from vitruvius.memory.model.ranking import (
    MAX_TRIALS,
    N_BEST,
    N_RECENT,
    learn,
    normal_scores,
    quality,
)
from vitruvius.memory.records import Origin, ResultStatus, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

UP, DOWN = Metric(name="accuracy"), Metric(name="loss", direction="min")


def trials(values: list[float | None]) -> list[Trial]:
    return [closed_trial(i + 1, Architecture.of({"x": i}), v) for i, v in enumerate(values)]


def test_normal_scores_are_quantiles_of_mid_ranks() -> None:
    scores = normal_scores(np.array([3.0, 1.0, 2.0, 2.0]))
    assert scores == pytest.approx(norm.ppf([0.875, 0.125, 0.5, 0.5]))
    assert normal_scores(np.empty(0)).size == 0


def test_a_minimised_metric_is_turned_around() -> None:
    up = learn(trials([1.0, 2.0, 3.0]), UP).scores
    down = learn(trials([1.0, 2.0, 3.0]), DOWN).scores
    assert down == pytest.approx(-up)


@pytest.mark.parametrize(
    "status", [ResultStatus.DIVERGED, ResultStatus.OUT_OF_MEMORY, ResultStatus.TIMEOUT]
)
def test_a_telling_failure_ranks_worst_in_either_direction(status: ResultStatus) -> None:
    bad = closed_trial(4, Architecture.of({"x": 9}), None, status=status)
    for metric in (UP, DOWN):
        lesson = learn([*trials([1.0, 2.0, 3.0]), bad], metric)
        assert lesson.scores.argmin() == 3


@pytest.mark.parametrize(
    "trial",
    [
        closed_trial(1, Architecture.of(1), None, status=ResultStatus.FAILED),
        closed_trial(1, Architecture.of(1), None, status=ResultStatus.CANCELLED),
        closed_trial(1, Architecture.of(1), None, status=ResultStatus.RUNNING),
        closed_trial(1, Architecture.of(1), math.nan),
        closed_trial(1, Architecture.of(1), 0.5, origin=Origin.CONFIRM),
    ],
    ids=["failed", "cancelled", "running", "nan", "confirm"],
)
def test_what_says_nothing_is_left_out(trial: Trial) -> None:
    assert quality(trial, UP) is None
    assert learn([trial], UP).trials == ()


def test_ranks_are_within_a_fidelity() -> None:
    short = [closed_trial(i, Architecture.of(i), v, fidelity="1ep") for i, v in enumerate([1, 2])]
    long = [closed_trial(i + 2, Architecture.of(i), v) for i, v in enumerate([10, 20])]
    scores = learn([*short, *long], UP).scores
    assert scores[:2] == pytest.approx(scores[2:])


def test_a_bounded_number_of_trials_is_kept_the_best_and_the_latest_among_them() -> None:
    many = trials([float((37 * i) % 1009) for i in range(900)])
    lesson = learn(many, UP)
    numbers = [trial.number for trial in lesson.trials]
    assert len(numbers) == MAX_TRIALS <= 500
    assert numbers == sorted(set(numbers))
    assert set(range(901 - N_RECENT, 901)) <= set(numbers)
    best = sorted(many, key=lambda trial: -(trial.value or 0))[:N_BEST]
    assert {trial.number for trial in best} <= set(numbers)
    assert [t.number for t in learn(many, UP).trials] == numbers
