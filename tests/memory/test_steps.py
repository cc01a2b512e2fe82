"""Decisions, cuts, calls, account and journal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vitruvius.errors import ToolError, VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import CutRecord, DecisionStatus, ModelCall, ResultStatus, Run
from vitruvius.spaces.rules import Rule

NewRun = Callable[..., Run]
KEY = "sk-abcdefghijklmnopqrstuvwx"


def test_ten_that_break_a_limit_cost_one_trial(ledger, new_run, new_trials) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "me")
    trials = ledger.trials.open(run.id, None, new_trials(*map(str, range(25))))
    for trial in trials[:21]:
        ledger.results.start(trial.result_id, "me")
        ledger.results.close(trial.result_id, status=ResultStatus.INFEASIBLE, train_s=0.0)
    other = new_run(ledger)
    ledger.trials.open(other.id, None, new_trials("0"))
    assert ledger.steps.spent(run.id).trials == 4 + 2
    assert ledger.steps.spent(other.id).trials == 0


def call(**changes: object) -> ModelCall:
    fields: dict[str, object] = {
        "chair": "architect",
        "step": 3,
        "model": "some-model",
        "prompt": "design",
        "reply": "a network",
        "tokens_in": 100,
        "tokens_out": 20,
        "tokens_estimated": False,
        "dollars": 0.25,
        "wall_s": 1.5,
        "error": None,
    }
    return ModelCall(**{**fields, **changes})  # type: ignore[arg-type]


def cut(ledger: Ledger, run_id: str, step: int, rule: Rule) -> CutRecord:
    return ledger.cuts.add(run_id, step, rule, "P1.1", "it pays", False, 0.5, 0.02)


def test_a_decision_is_open_until_it_is_carried_out(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    assert ledger.steps.open_decision(run.id) is None
    ledger.steps.add_decision(run.id, 0, "m", {"text": "?"}, DecisionStatus.MALFORMED, "say JSON")
    made = ledger.steps.add_decision(run.id, 0, "m", {"tool": "train"}, DecisionStatus.ACCEPTED)
    assert ledger.steps.open_decision(run.id) == made
    ledger.steps.close_decision(made.id, DecisionStatus.CARRIED_OUT, "2 trained")
    ledger.steps.close_decision(made.id, DecisionStatus.REFUSED, "too late")
    assert ledger.steps.open_decision(run.id) is None
    assert [(d.status, d.outcome) for d in ledger.steps.decisions(run.id)] == [
        (DecisionStatus.MALFORMED, "say JSON"),
        (DecisionStatus.CARRIED_OUT, "2 trained"),
    ]
    assert ledger.steps.accepted_decisions(run.id) == 1


def test_the_last_decisions_come_in_order(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    for step in range(5):
        ledger.steps.add_decision(run.id, step, "m", {}, DecisionStatus.REFUSED)
    assert [decision.step for decision in ledger.steps.decisions(run.id, last=2)] == [3, 4]
    assert ledger.steps.decisions(new_run(ledger).id) == []


def test_an_unknown_decision_is_refused(ledger: Ledger) -> None:
    with pytest.raises(VitruviusError, match="no decision 5"):
        ledger.steps.close_decision(5, DecisionStatus.CARRIED_OUT, None)


def test_a_cut_is_made_and_undone_once(
    ledger: Ledger, new_run: NewRun, rule: Callable[..., Rule]
) -> None:
    run, one = new_run(ledger), rule(("edge_0_1", "none"), stance="avoid")
    made = cut(ledger, run.id, 4, one)
    assert cut(ledger, run.id, 4, one) == made
    assert made.in_force
    assert made.rule == one
    with pytest.raises(ToolError, match="cut 1 already"):
        cut(ledger, run.id, 5, one)
    undone = ledger.cuts.undo(run.id, 1, 6, "you", "I doubt it")
    assert (undone.undone_step, undone.undone_by, undone.undone_reason) == (6, "you", "I doubt it")
    assert ledger.cuts.undo(run.id, 1, 6, "you", "again") == undone
    with pytest.raises(ToolError, match="undone at step 6"):
        ledger.cuts.undo(run.id, 1, 7, "you", "again")
    again = cut(ledger, run.id, 8, one)
    assert again.number == 2
    assert ledger.cuts.of(run.id) == [undone, again]


def test_undoing_an_unknown_cut_names_those_in_force(
    ledger: Ledger, new_run: NewRun, rule: Callable[..., Rule]
) -> None:
    run = new_run(ledger)
    with pytest.raises(ToolError, match="cuts in force: none"):
        ledger.cuts.undo(run.id, 1, 0, "you", "")
    cut(ledger, run.id, 4, rule(("edge_0_1", "none")))
    with pytest.raises(ToolError, match="no cut 9; cuts in force: 1"):
        ledger.cuts.undo(run.id, 9, 0, "you", "")


def test_the_account_adds_up(ledger: Ledger, new_run: NewRun) -> None:
    run, other = new_run(ledger), new_run(ledger)
    assert ledger.steps.spent(run.id).tokens == 0
    ledger.steps.add_call(run.id, call())
    ledger.steps.add_call(run.id, call(error="429", tokens_in=1, tokens_out=0, dollars=0.0))
    ledger.steps.add_call(other.id, call())
    spent = ledger.steps.spent(run.id)
    assert (spent.tokens, spent.dollars) == (121, 0.25)
    assert [one.error for one in ledger.steps.calls(run.id)] == [None, "429"]
    assert ledger.steps.calls(other.id) == [call()]


def test_a_mark_is_made_once_a_step(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    for step in (2, 1, 2, 3):
        ledger.steps.mark(run.id, "reflected", step, {"closed": 8 * step})
    ledger.steps.mark(run.id, "reflected", 2, {"closed": 999})
    ledger.steps.mark(run.id, "verified", 9, {})
    assert [(m.step, m.data["closed"]) for m in ledger.steps.marks(run.id, "reflected")] == [
        (1, 8),
        (2, 16),
        (3, 24),
    ]
    assert [mark.step for mark in ledger.steps.marks(run.id, "reflected", last=1)] == [3]
    assert ledger.steps.count_marks(run.id, "reflected") == 3
    assert ledger.steps.marks(new_run(ledger).id, "reflected") == []


def test_no_key_reaches_the_file(
    tmp_path: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "environment-secret-1")
    ledger = Ledger.open(tmp_path / "home", secrets=["given-secret-2"])
    run = new_run(
        ledger,
        settings={"api_key": "plain-3", "nested": {"token": "plain-4"}, "tokens": 100, "k": KEY},
    )
    ledger.steps.add_call(
        run.id, call(prompt=f"use {KEY}", reply="environment-secret-1", error=KEY)
    )
    ledger.steps.add_decision(
        run.id, 0, "m", {"text": f"given-secret-2 {KEY}"}, DecisionStatus.MALFORMED
    )
    ledger.steps.mark(run.id, "note", 0, {"key": "a slot may be called key", "text": KEY})
    assert ledger.runs.get(run.id).settings["tokens"] == 100
    assert ledger.steps.marks(run.id, "note")[0].data["key"] == "a slot may be called key"
    ledger.close()
    stored = b"".join(file.read_bytes() for file in (tmp_path / "home").iterdir())
    for secret in ("plain-3", "plain-4", KEY, "environment-secret-1", "given-secret-2"):
        assert secret.encode() not in stored
