"""Views follow the ledger without anybody saying that they are old."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vitruvius.budget import Budget
from vitruvius.graphs.search.reader import Reader
from vitruvius.memory.edits import Add
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import WishStatus
from vitruvius.memory.records import DecisionStatus, NewTrial, Origin, ResultStatus, Score
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.tasks.task import Metric

SPACE = load_space("nb201")
CELLS = SPACE.members()[:64]  # type: ignore[index]
AVOIDED = Rule(stance="avoid", all=(SlotCondition(slot="edge_0_3", choices=("none",)),))


class Looked:
    """A task that is asked for nothing but its metric."""

    metric = Metric(name="accuracy", direction="max", unit="%")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    task: Any = Looked()
    with Ledger.open(tmp_path) as ledger:
        run = ledger.runs.create(
            space_ref="nb201", space_id=SPACE.id, space_name=SPACE.name, task_ref="digits",
            task_id="digits-1", task_name="digits", seed=0, budget=Budget(trials=40),
            settings={}, sources={},
        )  # fmt: skip
        yield Reader(ledger=ledger, run=run, space=SPACE, task=task)


def open_trial(reader: Reader, place: int) -> int:
    new = NewTrial(architecture=CELLS[place], fidelity="8ep", seed=place, origin=Origin.ARCHITECT)
    return reader.ledger.trials.open(reader.run.id, None, [new])[0].result_id


def close(ledger: Ledger, result_id: int) -> None:
    ledger.results.start(result_id, "somebody")
    ledger.results.close(result_id, status=ResultStatus.DONE, value=90.0)


def test_a_trial_is_in_the_digest_once_it_is_closed(reader: Reader) -> None:
    assert reader.digest().search == []
    result = open_trial(reader, 0)
    assert reader.digest().search == []
    close(reader.ledger, result)
    assert [trial.number for trial in reader.digest().search] == [1]


def test_a_trial_that_another_process_closes_is_in_it_too(reader: Reader, tmp_path: Path) -> None:
    result = open_trial(reader, 0)
    assert reader.digest().search == []
    with Ledger.open(tmp_path) as other:
        close(other, result)
    assert [trial.number for trial in reader.digest().search] == [1]


def test_a_trial_that_was_cut_off_holds_up_none_after_it(reader: Reader) -> None:
    cancelled = open_trial(reader, 0)
    reader.ledger.results.start(cancelled, "me")
    reader.ledger.results.close(cancelled, status=ResultStatus.CANCELLED)
    close(reader.ledger, open_trial(reader, 1))
    assert reader.digest().search == []
    reader.ledger.steps.mark(reader.run.id, "cut_off", 1, {})
    assert reader.cut_off() == {1}
    assert [trial.number for trial in reader.digest().search] == [2]


def test_a_wish_of_another_process_is_due_at_once_and_a_note_is_read_when_it_is_closed(
    reader: Reader, tmp_path: Path
) -> None:
    assert not reader.has_wishes()
    assert reader.notes() == []
    with Ledger.open(tmp_path) as other:
        wish = other.requests.add_wish(reader.run.id, "Ada", {"tool": "note", "text": "go wide"})
    assert reader.has_wishes()
    assert reader.notes() == []
    reader.ledger.requests.close_wish(wish.id, WishStatus.DONE, "read")
    assert not reader.has_wishes()
    assert reader.notes() == ["Ada: go wide"]


def _decide(reader: Reader) -> None:
    call = {"tool": "recall", "query": "width"}
    status = DecisionStatus.ACCEPTED
    reader.ledger.steps.add_decision(reader.run.id, 0, "analyst", call, status)


def _state(reader: Reader) -> None:
    edit = Add(rule=AVOIDED, statement="no hole at the end", rationale="it was bad")
    reader.ledger.principles.apply_edit(
        reader.run.id, "digits", "nb201", 0, "analyst", edit, ordinal=0
    )


def _cut(reader: Reader) -> None:
    reader.ledger.cuts.add(
        reader.run.id, 0, rule=AVOIDED, principle="P1.1", reason="bad", provisional=False,
        kept=0.5, top_loss_high=0.01,
    )  # fmt: skip


def _score(reader: Reader) -> None:
    scores = [
        Score(proxy="synflow", architecture=cell, value=float(place), wall_s=0.1)
        for place, cell in enumerate(CELLS)
    ]
    reader.ledger.scores.put(SPACE.id, "digits-1", scores)


def _verify(reader: Reader) -> None:
    reader.ledger.steps.mark(reader.run.id, "verified", 0, {"closed": 8})


@pytest.mark.parametrize(
    ("view", "write"),
    [
        (Reader.open_decision, _decide),
        (Reader.steps, _decide),
        (Reader.principles, _state),
        (Reader.region, _cut),
        (Reader.board, _score),
        (Reader.last_verified, _verify),
    ],
)
def test_a_view_is_read_again_after_a_write_that_it_rests_on_and_only_then(
    reader: Reader, view: Callable[[Reader], Any], write: Callable[[Reader], None]
) -> None:
    if write is _cut:
        _state(reader)  # whose cut it is
    before = view(reader)
    reader.ledger.runs.claim(reader.run.id, "me")
    assert view(reader) is before
    write(reader)
    after = view(reader)
    assert after is not before
    assert view(reader) is after
