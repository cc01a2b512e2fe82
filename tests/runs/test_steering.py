"""Wishes of people, taken up by whoever drives the run, before its own next decision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, outcome_of, trials_of

import vitruvius as vt
from vitruvius.api import create
from vitruvius.errors import ConfigError, ToolError
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.records import RunStatus, Standing

Search = Callable[..., vt.SearchRun]
WIDE = {"width": "16", "activation": "relu", "norm": "yes"}
COLUMNS = Path(__file__).parent / "columns.py"
NARROW = {"width": "1", "activation": "none", "norm": "no"}


@pytest.fixture
def waiting(home: Path) -> Callable[..., vt.SearchRun]:
    """Makes a run that nobody drives yet."""

    def make(budget: str = "20 trials", **more: Any) -> vt.SearchRun:
        given = {"home": home, "workers": 1, "model": "analyst", "task": LOOKUP, "space": SPACE}
        return create(budget=budget, **(given | more))

    return make


def wishes_of(run: vt.SearchRun) -> list[Wish]:
    with Ledger.open(run.home) as ledger:
        return ledger.requests.wishes(run.id)


def stop_after(run: vt.SearchRun, trial: str) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE and event.data["trial"] == trial:
            run.stop()

    return listen


def test_trainings_that_somebody_wants_come_first(waiting: Search) -> None:
    run = waiting()
    run.steer({"tool": "train", "architectures": [WIDE, NARROW]}, author="ada")
    assert run.resume() == RunStatus.DONE
    first = trials_of(run)[:2]
    assert [trial.architecture.spec for trial in first] == [WIDE, NARROW]
    (wish,) = wishes_of(run)
    assert wish.status == WishStatus.DONE
    assert wish.words.startswith("T1 ")
    with Ledger.open(run.home) as ledger:
        decision = ledger.steps.decisions(run.id)[0]
    assert (decision.author, decision.step, decision.id) == ("ada", 0, wish.decision_id)
    assert len(trials_of(run)) == 20  # paid from the same budget


def test_only_wishes_are_carried_out_and_the_run_is_let_go(waiting: Search) -> None:
    run = waiting()
    assert run.carry_out() == RunStatus.PENDING  # nothing to do: not even begun
    run.steer({"tool": "train", "architectures": [WIDE]})
    run.steer("width >= 8")
    assert run.carry_out() == RunStatus.INTERRUPTED
    assert [trial.architecture.spec for trial in trials_of(run)] == [WIDE]
    assert {wish.status for wish in wishes_of(run)} == {WishStatus.DONE}
    assert run.record.driver is None
    assert run.resume() == RunStatus.DONE


def test_a_principle_is_measured_before_it_may_cut(waiting: Search) -> None:
    run = waiting("24 trials")
    run.steer("prefer architectures with width >= 12", author="ada")
    run.steer({"tool": "prune", "principle": "P1"})
    run.resume(on_event=stop_after(run, "T12"))
    stated, cut = wishes_of(run)
    assert stated.status == WishStatus.DONE
    assert "P1.1, understood as: width >= 12; a candidate" in stated.words
    assert cut.status == WishStatus.REFUSED
    assert "it is not measured in this run yet" in cut.words
    run.steer("norm = yes")
    run.carry_out()
    said = wishes_of(run)[-1].words
    assert "understood as: norm = yes; candidate, effect " in said
    run.resume()
    with Ledger.open(run.home) as ledger:
        first = ledger.principles.version("P1.1")
        looks = [e for e in ledger.evidence.of(run.id) if (e.principle, e.version) == (1, 1)]
        cuts = ledger.cuts.of(run.id)
        supported = {
            (e.principle, e.version) for e in ledger.evidence.of(run.id)
            if e.standing == Standing.SUPPORTED
        }  # fmt: skip
    assert (first.author, first.edit) == ("ada", "add")
    assert looks
    assert all(tuple(map(int, c.principle[1:].split("."))) in supported for c in cuts)


def test_principles_are_rewritten_and_given_up(waiting: Search) -> None:
    run = waiting()
    run.steer("width >= 8")
    run.carry_out()
    run.steer({"tool": "principle", "statement": "rather width >= 12", "principle": "P1",
               "rule": {"stance": "require", "all": [{"feature": "width", "at_least": 12}]}},
              )  # fmt: skip
    run.steer({"tool": "retire", "principle": "P1.2"})
    run.steer({"tool": "retire", "principle": "P7"})
    run.carry_out()
    with Ledger.open(run.home) as ledger:
        assert [v.edit for v in ledger.principles.versions("P1")] == ["add", "revise", "retire"]
        assert ledger.principles.current(run.id) == []
    *_, wrong = wishes_of(run)
    assert (wrong.status, wrong.words) == (
        WishStatus.REFUSED, "retire: there is no principle P7; known: none yet; use add",
    )  # fmt: skip


def test_a_cut_that_somebody_undoes_stays_undone(waiting: Search) -> None:
    table = {"task": f"{COLUMNS}:source", "space": f"{COLUMNS}:space"}
    run = waiting("30 trials", cut_loss=0.1, **table)
    undone: list[int] = []

    def listen(event: Event) -> None:
        if event.kind == EventKind.CUT and not event.data["undone"] and not undone:
            undone.append(event.data["cut"])
            run.steer({"tool": "undo", "cut": event.data["cut"], "reason": "I doubt it"})

    run.resume(on_event=listen)
    assert undone
    with Ledger.open(run.home) as ledger:
        cuts = ledger.cuts.of(run.id)
    first = next(cut for cut in cuts if cut.number == undone[0])
    assert (first.undone_by, first.undone_reason) == ("you", "I doubt it")
    assert not any(c.rule.key == first.rule.key for c in cuts if c.number != first.number)


def test_a_wish_shifts_neither_the_theorists_turn_nor_the_repeats(
    waiting: Search, tmp_path: Path
) -> None:
    calm = waiting(home=tmp_path / "calm")
    turns: dict[str, list[tuple[int, int]]] = {"calm": [], "steered": []}

    def counting(name: str) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if event.kind == EventKind.REFLECTED:
                turns[name].append((event.data["trials"], event.data["edits"] >= 0))

        return listen

    calm.resume(on_event=counting("calm"))
    run = waiting()
    run.resume(on_event=stop_after(run, "T6"))
    run.steer("norm = yes")  # of no effect here: the analyst's own choices stay the same
    run.resume(on_event=counting("steered"))
    assert turns["steered"] == turns["calm"]
    assert outcome_of(run) == outcome_of(calm)


def test_every_wish_that_cannot_be_is_refused_with_a_reason(waiting: Search) -> None:
    run = waiting("12 trials")
    run.steer({"tool": "train", "architectures": [WIDE]})
    run.steer({"tool": "train", "architectures": [WIDE]})
    run.steer({"tool": "undo", "cut": 3})
    run.steer({"tool": "principle", "statement": "wide is good"})
    run.steer({"tool": "principle", "statement": "width >= 1"})
    run.carry_out()
    told = [wish.words for wish in wishes_of(run) if wish.status == WishStatus.REFUSED]
    assert [words.partition(";")[0] for words in told] == [
        "architecture 1 is T1 again",
        "there is no cut 3 to undo",
        "space tiny knows no 'wide' (nearest: width)",
        "the rule (width >= 1) says nothing: every architecture satisfies it",
    ]


def test_a_wish_beyond_the_budget_is_refused(waiting: Search) -> None:
    run = waiting("6 trials")

    def late(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE and event.data["trial"] == "T5":
            run.steer({"tool": "train", "architectures": [WIDE, NARROW]})

    assert run.resume(on_event=late) == RunStatus.DONE
    (wish,) = wishes_of(run)
    assert wish.status == WishStatus.REFUSED
    assert "the budget has no trial left" in wish.words
    assert len(trials_of(run)) == 6


def test_a_run_that_another_drives_keeps_its_wishes_for_that_one(waiting: Search) -> None:
    run = waiting("10 trials")
    seen: list[Event] = []

    def listen(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE and event.data["trial"] == "T2":
            other = vt.open(run.id, home=run.home)
            other.steer({"tool": "train", "architectures": [WIDE]}, author="ada")
            seen.append(event)

    assert run.resume(on_event=listen) == RunStatus.DONE
    assert trials_of(run)[2].architecture.spec == WIDE
    assert wishes_of(run)[0].status == WishStatus.DONE


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ("widht >= 8", ToolError, r"nearest: width"),
        ({"tool": "fly"}, ToolError, "no tool 'fly'; choose one of: train, prune, undo"),
        ({"tool": "train", "architectures": ["{"]}, ToolError, "expected an object"),
        ({"tool": "train", "architectures": [{"width": "7"}]}, ToolError, "must be one of"),
        ({"tool": "prune"}, ToolError, "prune: to cut, name the principle"),
        ({"tool": "note", "text": ""}, ToolError, "argument 'text'"),
        ({"tool": "note", "text": "x", "to": "all"}, ToolError, "no argument 'to'"),
        ({"tool": "principle", "statement": "x >= 1", "rule": {
            "stance": "require", "all": [{"feature": "x", "at_least": 1}]}}, ToolError,
         "has no feature 'x'"),
        ([1], ToolError, "expected one JSON object"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_told_at_once(
    waiting: Search, asked: Any, error: type[Exception], told: str
) -> None:
    run = waiting()
    with pytest.raises(error, match=told):
        run.steer(asked)
    assert wishes_of(run) == []


@pytest.mark.parametrize("author", ["", "analyst", "confirmation", "x" * 61])
def test_an_author_is_nobody_of_the_program(waiting: Search, author: str) -> None:
    with pytest.raises(ToolError, match="expected an author's name"):
        waiting().steer("hurry", author=author)


def test_a_run_that_is_done_takes_no_wish(search: Search) -> None:
    run = search(budget="4 trials")
    with pytest.raises(ConfigError, match=f"is done and takes no wishes.*fork {run.id}"):
        run.steer("hurry")
