"""What rungs demand, and where a stopped trial stands among the others."""

from dataclasses import replace

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.memory.model.halving import check_has_rungs, demands, falls_short, rungs
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import ResultStatus, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric

LOSS = Metric(name="loss", direction="min")
ACCURACY = Metric(name="accuracy")


def trial(number: int, *curve: float, status: ResultStatus = ResultStatus.DONE) -> Trial:
    value = curve[-1] if status == ResultStatus.DONE else None
    made = closed_trial(number, Architecture.of({"n": number}), value, status=status)
    return replace(made, curve=curve)


def test_a_training_must_be_among_the_best_third_so_far_itself_counted() -> None:
    assert demands([], LOSS, 9) == {}
    losses = [5.0, 3.0, 4.0, 6.0, 2.0]
    for count, demanded in ((1, 5.0), (2, 3.0), (3, 4.0), (5, 3.0)):
        told = [trial(n, loss, 1.0, 1.0) for n, loss in enumerate(losses[:count])]
        assert demands(told, LOSS, 9)[1] == demanded
        mine = [*losses[:count], demanded + 0.1]
        assert sum(loss < mine[-1] for loss in mine) >= max(1, len(mine) / 3)
    assert demands([trial(1, 70.0), trial(2, 90.0)], ACCURACY, 9) == {1: 90.0}


def test_who_was_stopped_before_a_rung_says_nothing_of_it() -> None:
    stopped = trial(1, 9.0, status=ResultStatus.STOPPED_EARLY)
    assert demands([stopped, trial(2, 5.0, 4.0, 3.0)], LOSS, 9) == {1: 5.0, 3: 3.0}


def test_a_tie_goes_on_and_an_unknown_demand_stops_nothing() -> None:
    assert falls_short(3.0, 3.1, LOSS)
    assert not falls_short(3.0, 3.0, LOSS)
    assert falls_short(90.0, 89.0, ACCURACY)
    assert not falls_short(None, 9.0, LOSS)


def test_a_stopped_trial_ranks_below_the_finished_and_above_the_diverged() -> None:
    stopped, failed = ResultStatus.STOPPED_EARLY, ResultStatus.DIVERGED
    trials = [
        trial(1, 3.0, 2.9, 2.8),
        trial(2, 5.0, status=stopped),
        trial(3, status=failed),
        trial(4, 3.5, 3.1, 1.0, status=stopped),
        trial(5, 4.0, status=stopped),
        trial(6, 9.0, 9.0, 9.0),
    ]
    scores = learn(trials, LOSS).scores
    assert np.argsort(-scores).tolist() == [0, 5, 3, 4, 1, 2]


def test_what_cannot_be_stopped_early_is_refused() -> None:
    assert rungs(2) == ()
    check_has_rungs(load_task("digits:epochs=3"))
    with pytest.raises(ConfigError, match="too short to stop one early: epochs=2"):
        check_has_rungs(load_task("digits:epochs=2"))
