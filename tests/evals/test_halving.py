"""What stops a training in the eval is what stops one in a run."""

from dataclasses import replace

import numpy as np
import pytest

from vitruvius.evals.studies.stoppers import Never, Spared, halving, optuna_stopper
from vitruvius.memory.model.halving import FACTOR, demands, falls_short, rungs
from vitruvius.memory.records import ResultStatus, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

LOSS = Metric(name="loss", direction="min")
EPOCHS = 9


def test_the_rule_of_the_eval_stops_the_trainings_that_runs_stop() -> None:
    rng = np.random.default_rng(0)
    rule = halving(rungs(EPOCHS), 1 / FACTOR)
    trials: list[Trial] = []
    for number in range(200):
        demanded = demands(trials, LOSS, EPOCHS)
        losses = rng.integers(0, 20, EPOCHS) / 10  # ties included
        rule.begin()
        last = EPOCHS
        for epoch, loss in enumerate(losses.tolist(), 1):
            stops = rule.stops(epoch, loss)
            assert stops == falls_short(demanded.get(epoch), loss, LOSS)
            if stops:
                last = epoch
                break
        curve = tuple(losses[:last].tolist())
        status = ResultStatus.DONE if last == EPOCHS else ResultStatus.STOPPED_EARLY
        value = curve[-1] if last == EPOCHS else None
        made = closed_trial(number, Architecture.of({"n": number}), value, status=status)
        trials.append(replace(made, curve=curve))
    stopped = sum(trial.status == ResultStatus.STOPPED_EARLY for trial in trials)
    assert 100 < stopped < 190


def test_what_is_spared_is_compared_with_all_the_same() -> None:
    rule = halving((1,), 0.5)
    assert not Spared(rule).stops(1, 1.0)
    assert not Spared(rule).stops(1, 9.0)
    assert not rule.stops(1, 5.0)  # second of three, the spared ones counted
    assert not Never().stops(1, 9.0)


def test_a_pruner_of_optuna_stops_what_falls_behind() -> None:
    pytest.importorskip("optuna")
    pruner = optuna_stopper("median", 0, EPOCHS)
    for _ in range(6):
        pruner.begin()
        assert not pruner.stops(1, 1.0)
        pruner.end(1.0)
    pruner.begin()
    assert pruner.stops(1, 9.0)
    pruner.end(None)
