"""Limits of a task, and what a search makes of a space that breaks most of them."""

import itertools

import numpy as np
import pytest
from runs.helpers import trials_of
from runs.tiny import Lookup

import vitruvius as vt
from vitruvius.budget import Budget
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import BREAKS_A_TRIAL, ResultStatus
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity

WIDE = SlotSpace(
    "wide",
    [Slot(name=f"s{n}", choices=tuple(Choice(name=letter) for letter in "abcd")) for n in range(8)],
)


class Tight(Lookup):
    """Allows one architecture in sixteen; nobody could keep 16 trials otherwise."""

    name = "tight"
    id = "tight-1"
    ref = ""
    constraints = Constraints(params=10)

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        spec = architecture.spec
        allowed = spec["s0"] == "a" and spec["s1"] == "b"
        value = float(np.random.default_rng([seed, *architecture.text.encode()]).normal())
        return TableRow(value=value, test=value, train_s=1.0, params=1 if allowed else 11, flops=1)


class Impossible(Tight):
    id = "impossible-1"
    constraints = Constraints(params=0)


class Roomy(Tight):
    id = "roomy-1"
    constraints = Constraints()


class Exact(Roomy):
    id = "exact-1"
    is_noisy = False


def test_what_breaks_a_limit_does_not_use_the_budget_up(search) -> None:
    run = search(task=Tight(), space=WIDE, budget="16 trials")
    trials = trials_of(run)
    broke = [trial for trial in trials if trial.status == ResultStatus.INFEASIBLE]
    trained = [trial for trial in trials if trial.status == ResultStatus.DONE]
    assert len(trained) == 16 - len(broke) // BREAKS_A_TRIAL
    assert len(broke) > 16, "or the test shows nothing"
    assert run.best.params == 1
    assert "broke a limit of the task and were not trained" in run.report


def test_seconds_of_training_are_a_budget_and_reused_results_cost_none(search) -> None:
    run = search(task=Exact(), space=WIDE, budget="9.5s of training")
    assert len(trials_of(run)) == 10  # a second each; the one that crosses the limit is finished
    with Ledger.open(run.home) as ledger:
        assert ledger.steps.spent(run.id).train_s == 10
    assert "Budget 9.5s of training; spent 10 trials" in run.report
    assert "10 s of training" in run.report
    again = search(task=Exact(), space=WIDE, budget="3s of training")
    reused = [trial for trial in trials_of(again) if trial.reused]
    assert reused
    assert len(trials_of(again)) == len(reused) + 3


def test_a_space_without_a_member_that_is_allowed_ends(search) -> None:
    run = search(task=Impossible(), space=WIDE, budget="3 trials")
    assert run.record.status == "done"
    assert len(trials_of(run)) <= 3 * BREAKS_A_TRIAL
    with pytest.raises(vt.ToolError, match=r"no trial .* finished with a score"):
        _ = run.best


def test_a_space_smaller_than_the_budget_ends(search) -> None:
    small = SlotSpace("small", WIDE.slots[:2])
    run = search(task=Roomy(), space=small, budget=Budget(trials=1000))
    trials = trials_of(run)
    assert len({trial.architecture for trial in trials}) == 16
    assert len(trials) < 60, "repeats and confirmation come on top, and no more"


def test_nothing_is_left_behind_by_what_cannot_start(search, home) -> None:
    broken = [
        ({"task": "digits", "space": WIDE}, "builds no networks"),
        ({"model": "qwen3"}, "needs an endpoint"),
        ({"budget": "3 tokens"}, "never runs out"),
        ({"budget": 5}, "expected a budget such as"),
        ({"budget": Budget(trials=0)}, "must lie above 0"),
        ({"budget": Budget(wall_s=float("nan")), "model": "auto"}, "must lie above 0"),
        ({"task": "digits", "colour": "red"}, "no setting"),
    ]
    for given, message in broken:
        with pytest.raises(vt.ConfigError, match=message):
            search(**given)
    with pytest.raises(vt.ConfigError, match="has no ledger"):
        vt.open("261122-aaaa", home=home)
    assert not any(itertools.chain(home.glob("runs/*"), home.glob("*.db")))
