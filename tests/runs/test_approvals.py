"""Asking first: at what price, with which changes, and when nobody answers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, trials_of

import vitruvius as vt
from vitruvius.errors import ConfigError
from vitruvius.memory.decisions import Decision
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import DecisionStatus, Origin, RunStatus

Search = Callable[..., vt.SearchRun]
Question = Mapping[str, Any]
WIDE = {"width": "16", "activation": "relu", "norm": "yes"}
KILLED_WHILE_ASKED = """
import os, signal, sys
import vitruvius as vt

def ask(question):
    if question["step"] < 6:
        return {"approved": True}
    print(question["decision"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

task, space, home = sys.argv[1:]
vt.search(task, space, "10 trials", home=home, workers=1, model="analyst", ask=ask)
"""


def decisions_of(run: vt.SearchRun) -> list[Decision]:
    with Ledger.open(run.home) as ledger:
        return ledger.steps.decisions(run.id)


def test_a_question_tells_its_price_by_the_runs_own_mean(search: Search) -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Mapping[str, Any]:
        asked.append(question)
        return {"approved": True}

    search(budget="8 trials", ask=ask)
    first, *later = asked
    assert first["price"] == {"seconds": None, "tokens": 0, "dollars": 0.0}
    for question in later:  # each look-up of this table tells one second
        assert question["price"]["seconds"] == len(question["call"]["trials"])
    assert {question["author"] for question in asked} == {"design", "analyst"}


def test_other_arguments_are_checked_again_and_carried_out(search: Search) -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Mapping[str, Any]:
        asked.append(question)
        if question["author"] == "design" or len(asked) > 8:
            return {"approved": True}
        wishes: list[Any] = [{"width": "green"}, {"width": "16"}, '{"width":"16"', WIDE]
        wrong = {"tool": "prune", "action": "undo", "cut": 1}
        tried = sum("problem" in one for one in asked)
        call = wrong if tried == 4 else {"architectures": [wishes[min(tried, 3)]]}
        return {"approved": True, "call": call if tried != 3 else wrong}

    run = search(budget="9 trials", ask=ask)
    problems = [one["problem"] for one in asked if "problem" in one]
    assert "slot width must be one of" in problems[0]
    assert "slot activation must be one of" in problems[1]
    assert "expected an object" in problems[2]
    assert "this is a decision to train: change its arguments, or refuse it" in problems[3]
    assert len({one["decision"] for one in asked if "problem" in one}) == 1
    assert run.record.status == RunStatus.DONE


def test_an_edited_training_trains_what_the_person_wrote(search: Search) -> None:
    edited: list[int] = []

    def ask(question: Question) -> Mapping[str, Any]:
        if question["author"] == "analyst" and not edited:
            edited.append(question["decision"])
            return {"approved": True, "call": {"architectures": [WIDE], "reason": "I bet on it"}}
        return {"approved": True}

    run = search(budget="9 trials", ask=ask)
    decision = next(d for d in decisions_of(run) if d.id == edited[0])
    chosen = [t for t in trials_of(run) if t.decision_id == decision.id]
    assert [t.architecture.spec for t in chosen if t.origin == Origin.ARCHITECT] == [WIDE]
    assert decision.written["architectures"] == [WIDE]
    assert decision.written["reason"] == "I bet on it"
    assert decision.author == "analyst"
    assert (decision.outcome or "").startswith("the person changed the call; T")


def test_a_question_outlives_the_process_that_asked_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_ASKED, LOOKUP, SPACE, str(home)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(home) as ledger:
        run = vt.open(ledger.runs.all()[0].id, home=home)
    before = trials_of(run)
    run.steer({"tool": "train", "architectures": [WIDE]})
    assert run.carry_out() == RunStatus.INTERRUPTED  # cannot ask, so leaves it open
    assert trials_of(run) == before
    asked: list[Question] = []

    def answer(question: Question) -> Mapping[str, Any]:
        asked.append(question)
        return {"approved": len(asked) > 1, "reason": "rather not"}

    assert run.resume(ask=answer) == RunStatus.DONE
    assert asked[0]["decision"] == int(done.stdout)
    refused = next(d for d in decisions_of(run) if d.id == int(done.stdout))
    assert refused.status == DecisionStatus.REFUSED
    assert refused.outcome == "the person refused: rather not"


def test_no_answer_leaves_the_question_open_and_lets_go(search: Search) -> None:
    run = search(budget="6 trials", ask=lambda question: {"approved": None})
    assert run.record.status == RunStatus.INTERRUPTED
    assert [d.status for d in decisions_of(run)] == [DecisionStatus.ACCEPTED]
    assert trials_of(run) == []
    assert run.resume(ask=lambda question: {"approved": True}) == RunStatus.DONE


def test_a_stop_does_not_wait_for_the_answer(search: Search, home: Path) -> None:
    def ask(question: Question) -> Mapping[str, Any]:
        with Ledger.open(home) as ledger:
            run = vt.open(ledger.runs.all()[0].id, home=home)
        run.stop()
        return {"approved": True}

    run = search(budget="6 trials", ask=ask)
    assert run.record.status == RunStatus.INTERRUPTED


@pytest.mark.parametrize(("price", "is_asked"), [("10s", False), ("500ms", True), ("$1", False)])
def test_only_what_costs_more_is_asked_about(search: Search, price: str, is_asked: bool) -> None:
    if price == "500ms":
        price = "0.5s"
    asked: list[Question] = []

    def ask(question: Question) -> Mapping[str, Any]:
        asked.append(question)
        return {"approved": True}

    search(budget="6 trials", ask=ask, ask_above=price)
    known = [question for question in asked if question["price"]["seconds"] is not None]
    assert bool(known) == is_asked


@pytest.mark.parametrize("price", ["3 trials", "1h of training", "dear"])
def test_a_price_is_time_tokens_or_dollars(search: Search, price: str) -> None:
    with pytest.raises(ConfigError, match="ask_above"):
        search(ask_above=price)


@pytest.mark.parametrize("answer", ["yes", {"approved": "later"}, {"reason": "no"}])
def test_what_is_no_answer_is_told(search: Search, answer: Any) -> None:
    with pytest.raises(ConfigError, match="to leave the question open"):
        search(budget="4 trials", ask=lambda question: answer)
