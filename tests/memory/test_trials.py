"""Trials and results: written before, closed once, shared by runs."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import (
    DecisionStatus,
    NewTrial,
    ResultStatus,
    Run,
    RunStatus,
    Score,
    Trial,
)
from vitruvius.spaces.space import Architecture

NewRun = Callable[..., Run]
NewTrials = Callable[..., list[NewTrial]]
FINAL = [status for status in ResultStatus if not status.is_open]


def close(ledger: Ledger, result_id: int, value: float = 90.0) -> bool:
    return ledger.results.close(
        result_id, status=ResultStatus.DONE, value=value, test=value - 1, train_s=3.0
    )


def test_numbers_follow_on_and_batches_are_whole(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    first = ledger.trials.open(run.id, None, new_trials("a", "b"))
    ledger.trials.open(other.id, None, new_trials("x"))
    second = ledger.trials.open(run.id, None, new_trials("c"))
    assert [trial.number for trial in first + second] == [1, 2, 3]
    assert ledger.trials.of(run.id) == first + second
    assert ledger.trials.of(run.id, after=2) == second
    assert ledger.steps.spent(run.id).trials == 3


def test_a_decision_opens_its_trials_once(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run = new_run(ledger)
    decision = ledger.steps.add_decision(run.id, 0, "analyst", {}, DecisionStatus.ACCEPTED)
    first = ledger.trials.open(run.id, decision.id, new_trials("a", "b"))
    assert ledger.trials.open(run.id, decision.id, new_trials("a", "b")) == first
    assert ledger.trials.of(run.id) == first


def test_another_run_reuses_a_result(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    (made,) = ledger.trials.open(run.id, None, new_trials("a"))
    close(ledger, made.result_id)
    (found,) = ledger.trials.open(other.id, None, new_trials("a"))
    assert found.result_id == made.result_id
    assert (made.reused, found.reused, found.value) == (False, True, 90.0)
    assert not ledger.results.start(found.result_id, "driver")


@pytest.mark.parametrize(
    "change",
    [{"space_id": "nb201-0"}, {"task_id": "mnist1d-0"}],
)
def test_another_space_or_task_has_its_own_results(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials, change: dict[str, str]
) -> None:
    (one,) = ledger.trials.open(new_run(ledger).id, None, new_trials("a"))
    (two,) = ledger.trials.open(new_run(ledger, **change).id, None, new_trials("a"))
    (three,) = ledger.trials.open(new_run(ledger).id, None, new_trials("a", seed=1))
    assert len({one.result_id, two.result_id, three.result_id}) == 3


def test_who_trains_it_after_all_pays_for_it(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    ledger.trials.open(run.id, None, new_trials("a"))
    ledger.runs.claim(other.id, "driver")
    (found,) = ledger.trials.open(other.id, None, new_trials("a"))
    assert found.reused
    assert ledger.results.start(found.result_id, "driver")
    assert [trial.reused for trial in ledger.trials.of(other.id)] == [False]
    assert ledger.results.started_by(found.result_id) == other.id


def test_a_live_driver_keeps_its_result_and_a_dead_one_loses_it(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run, other = new_run(ledger), new_run(ledger)
    ledger.runs.claim(run.id, "one")
    ledger.runs.claim(other.id, "two")
    (trial,) = ledger.trials.open(run.id, None, new_trials("a"))
    ledger.trials.open(other.id, None, new_trials("a"))
    assert ledger.results.start(trial.result_id, "one")
    assert not ledger.results.start(trial.result_id, "one")
    assert not ledger.results.start(trial.result_id, "two")
    assert not ledger.results.reopen(trial.result_id)
    ledger.runs.release(run.id, "one", RunStatus.INTERRUPTED)
    assert ledger.results.start(trial.result_id, "two")


def test_a_driver_that_claims_again_finds_its_leftovers_free(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "driver")
    (trial,) = ledger.trials.open(run.id, None, new_trials("a"))
    assert ledger.results.start(trial.result_id, "driver")
    ledger.runs.claim(run.id, "driver")
    assert ledger.results.start(trial.result_id, "driver")


@pytest.mark.parametrize("status", FINAL)
def test_a_closed_result_never_changes(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials, status: ResultStatus
) -> None:
    run = new_run(ledger)
    (trial,) = ledger.trials.open(run.id, None, new_trials("a"))
    is_measured = status == ResultStatus.DONE
    first = {"value": 90.0, "test": 89.0} if is_measured else {"message": "it broke"}
    assert ledger.results.close(
        trial.result_id, status=status, train_s=2.5, curve=(80.0, 90.0), peak_mib=64.0, **first
    )
    before = ledger.trials.of(run.id)
    assert before[0].status == status
    assert before[0].curve == (80.0, 90.0)
    assert before[0].peak_mib == 64.0
    assert not close(ledger, trial.result_id, 1.0)
    assert not ledger.results.start(trial.result_id, "driver")
    assert ledger.trials.of(run.id) == before


def test_what_is_opened_again(ledger: Ledger, new_run: NewRun, new_trials: NewTrials) -> None:
    run = new_run(ledger)
    trials = ledger.trials.open(run.id, None, new_trials(*map(str, FINAL)))
    reopened = set()
    for trial, status in zip(trials, FINAL, strict=True):
        value = 1.0 if status == ResultStatus.DONE else None
        assert ledger.results.start(trial.result_id, "driver")
        ledger.results.close(trial.result_id, status=status, value=value)
        if ledger.results.reopen(trial.result_id):
            reopened.add(status)
    assert reopened == {ResultStatus.CANCELLED, ResultStatus.FAILED}


def test_a_failure_is_retried_once(ledger: Ledger, new_run: NewRun, new_trials: NewTrials) -> None:
    (trial,) = ledger.trials.open(new_run(ledger).id, None, new_trials("a"))
    opened_again = []
    for _ in range(2):
        assert ledger.results.start(trial.result_id, "driver")
        ledger.results.close(trial.result_id, status=ResultStatus.FAILED, message="killed")
        opened_again.append(ledger.results.reopen(trial.result_id))
    assert opened_again == [True, False]


def test_its_own_driver_may_open_a_running_result_again(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "driver")
    (trial,) = ledger.trials.open(run.id, None, new_trials("a"))
    assert ledger.results.start(trial.result_id, "driver")
    assert not ledger.results.reopen(trial.result_id, driver="stranger")
    assert ledger.results.reopen(trial.result_id, driver="driver")
    assert ledger.results.start(trial.result_id, "driver")


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (ResultStatus.DONE, None),
        (ResultStatus.DONE, float("nan")),
        (ResultStatus.DIVERGED, 3.0),
        (ResultStatus.RUNNING, None),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused(
    ledger: Ledger,
    new_run: NewRun,
    new_trials: NewTrials,
    status: ResultStatus,
    value: float | None,
) -> None:
    (trial,) = ledger.trials.open(new_run(ledger).id, None, new_trials("a"))
    with pytest.raises(ValueError, match="result"):
        ledger.results.close(trial.result_id, status=status, value=value)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("start", {"driver": "driver"}),
        ("close", {"status": ResultStatus.CANCELLED}),
        ("reopen", {}),
        ("started_by", {}),
    ],
)
def test_an_unknown_result_is_refused(ledger: Ledger, call: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(VitruviusError, match="no result 77"):
        getattr(ledger.results, call)(77, **arguments)


def test_trials_hold_no_test_figure_but_the_report_has_them(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run = new_run(ledger)
    one, two = ledger.trials.open(run.id, None, new_trials("a", "b"))
    ledger.results.close(
        two.result_id, status=ResultStatus.DONE, value=90.0, test=88.5, weights="weights/2.pt"
    )
    assert "test" not in {field.name for field in fields(Trial)}
    assert ledger.trials.test_values(run.id) == {2: 88.5}
    assert ledger.trials.weights(run.id) == {2: "weights/2.pt"}
    assert one.value is None


def test_a_call_that_fails_writes_nothing(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials, tmp_path: Path
) -> None:
    run = new_run(ledger)
    with pytest.raises(VitruviusError, match="no such run, decision"):
        ledger.trials.open(run.id, 12345, new_trials("a", "b"))
    with closing(sqlite3.connect(tmp_path / "home/ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (0,)


def test_scores_are_kept_once_and_come_back_in_order(ledger: Ledger) -> None:
    a, b = Architecture.of("a"), Architecture.of("b")
    scores = [
        Score(proxy="params", architecture=a, value=10.0, wall_s=0.1),
        Score(proxy="snip", architecture=a, value=None, wall_s=0.2, note="has no gradient"),
        Score(proxy="snip", architecture=b, value=-1.5, wall_s=0.2),
    ]
    ledger.scores.put("s", "t", scores)
    ledger.scores.put("s", "t", [Score(proxy="params", architecture=a, value=99.0, wall_s=9.0)])
    ledger.scores.put("s", "t", [])
    assert ledger.scores.of("s", "t", ["params", "snip"], [a, b]) == scores
    assert ledger.scores.of("s", "t", ["snip"], [b, a]) == scores[:0:-1]
    assert ledger.scores.of("s", "other", ["snip"], [a, b]) == []
    assert ledger.scores.of("s", "t", ["snip"], []) == []


def test_scores_of_very_many_architectures_are_found(ledger: Ledger) -> None:
    many = [Architecture.of(n) for n in range(12_000)]
    ledger.scores.put(
        "s", "t", [Score(proxy="p", architecture=a, value=1.0, wall_s=0.0) for a in many]
    )
    assert len(ledger.scores.of("s", "t", ["p"], many)) == len(many)


def test_a_result_that_was_stopped_early_answers_to_its_own_run_only(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials
) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "driver")
    (trial,) = ledger.trials.open(run.id, None, new_trials("a"))
    assert ledger.results.start(trial.result_id, "driver")
    assert ledger.results.close(
        trial.result_id, status=ResultStatus.STOPPED_EARLY, train_s=1.0, curve=(70.0,)
    )
    (stopped,) = ledger.trials.of(run.id)
    assert (stopped.value, stopped.curve) == (None, (70.0,))
    assert stopped.meant_for == trial.fidelity != stopped.fidelity
    assert run.id in stopped.fidelity
    (other,) = ledger.trials.open(new_run(ledger).id, None, new_trials("a"))
    assert other.result_id != trial.result_id
    assert other.fidelity == trial.fidelity
