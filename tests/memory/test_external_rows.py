"""Rows that a run learns from: which, in what order, and written all or none."""

from collections.abc import Callable

import numpy as np
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import MAX_TRIALS, N_BEST
from vitruvius.memory.model.row_selection import (
    N_RANDOM,
    answers_of,
    rows_of_table,
    rows_of_trials,
    taught,
)
from vitruvius.memory.records import GivenRow, Origin, ResultStatus, Run
from vitruvius.memory.testing import closed_trial
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Metric

CHOICES = tuple(Choice(name=f"op{number}") for number in range(5))
SPACE = SlotSpace("given", [Slot(name=f"s{number}", choices=CHOICES) for number in range(4)])


class Rows:
    """A task over 625 architectures; less is better."""

    name, id, ref = "rows", "rows-1", ""
    metric = Metric(name="error", direction="min")
    constraints = Constraints(params=3)
    fidelity = Fidelity(epochs=1)
    is_noisy = False

    def describe(self) -> str:
        return "A made-up error."

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        first, *others = (int(architecture.spec[f"s{n}"][2:]) for n in range(4))
        if others == [0, 0, 0]:
            raise ToolError("no such row")
        value = float("nan") if others == [1, 1, 1] else first + sum(others) / 10
        return TableRow(value=value, test=value, train_s=1.0, params=first, flops=1)


def rows_of(*, rows: int | None = None, best: int | None = None, seed: int = 0) -> list[GivenRow]:
    return rows_of_table(Rows(), SPACE, rows=rows, best=best, seed=seed)


def test_all_rows_are_given_but_those_beyond_a_limit() -> None:
    found = rows_of()
    assert len({row.architecture for row in found}) == len(found) == 4 * (125 - 1)
    assert [row.status for row in found if row.value is None] == [ResultStatus.DIVERGED] * 4
    assert all(row.params is not None and row.params <= 3 for row in found)


def test_the_first_rows_are_a_random_sample_and_then_the_best_of_the_rest() -> None:
    found = rows_of()
    sample, best, others = (
        found[:N_RANDOM],
        found[N_RANDOM:MAX_TRIALS],
        found[MAX_TRIALS:],
    )
    assert len(best) == N_BEST
    assert max(row.value or 0 for row in best) <= min(row.value or 9 for row in others)
    assert {row.propensity for row in best} == {None}
    middle = np.median([row.value or 0 for row in found])
    assert abs(np.median([row.value or 0 for row in sample]) - middle) < 0.5


def test_only_draws_of_a_space_that_the_table_covers_count_as_uniform() -> None:
    assert {row.propensity for row in rows_of()[:N_RANDOM]} == {None}  # a fifth breaks the limit
    pool = Pool(SPACE, [row.architecture for row in rows_of()])
    found = rows_of_table(Rows(), pool, rows=None, best=None, seed=0)
    assert {row.propensity for row in found[:N_RANDOM]} == {1.0}
    assert {row.propensity for row in found[N_RANDOM:MAX_TRIALS]} == {None}


def test_the_seed_decides() -> None:
    assert rows_of(rows=50) == rows_of(rows=50)
    assert rows_of(rows=50) != rows_of(rows=50, seed=1)
    assert len(rows_of(rows=50)) == 50


def test_the_best_of_some_come_best_first_and_are_no_random_draws() -> None:
    few = rows_of(rows=50, best=10, seed=3)
    values = sorted(r.value for r in rows_of(rows=50, seed=3) if r.value is not None)
    assert [row.value for row in few] == values[:10]
    assert {row.propensity for row in few} == {None}


def test_a_space_that_the_table_does_not_know_is_refused() -> None:
    class Empty(Rows):
        def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
            raise ToolError("no such row")

    with pytest.raises(ConfigError, match="records no architecture of space given"):
        rows_of_table(Empty(), SPACE, rows=None, best=None, seed=0)


def test_a_runs_own_outcomes_keep_how_they_were_drawn() -> None:
    members = SPACE.members() or ()
    trials = [
        closed_trial(1, members[0], 1.0, origin=Origin.EXPLORE),
        closed_trial(2, members[1], 2.0),
        closed_trial(3, members[2], None, status=ResultStatus.DIVERGED),
        closed_trial(4, members[3], None),  # failed: says nothing of how good it is
        closed_trial(5, members[4], 3.0, origin=Origin.CONFIRM),
    ]
    metric = Metric(name="error", direction="min")
    found = rows_of_trials(trials, metric, rows=None, best=None, seed=0)
    assert [(row.architecture, row.propensity) for row in found] == [
        (members[0], 1.0), (members[1], None), (members[2], None),
    ]  # fmt: skip
    best = rows_of_trials(trials, metric, rows=None, best=2, seed=0)
    assert [row.value for row in best] == [1.0, 2.0]
    with pytest.raises(ConfigError, match="nothing to learn from"):
        rows_of_trials(trials[3:], metric, rows=None, best=None, seed=0)


def given(count: int) -> list[GivenRow]:
    return [
        GivenRow(
            architecture=Architecture.of({"row": number}), fidelity="1ep", seed=0,
            status=ResultStatus.DONE, value=float(number), test=0.0, propensity=1.0,
        )
        for number in range(count)
    ]  # fmt: skip


def test_thousands_of_rows_are_written_at_once_and_once(
    ledger: Ledger, new_run: Callable[..., Run]
) -> None:
    run = new_run(ledger)
    rows = given(15_625)
    assert ledger.trials.give(run.id, rows) == len(rows)
    assert ledger.trials.give(run.id, rows) == len(rows)
    trials = ledger.trials.of(run.id)
    assert [trial.architecture for trial in trials] == [row.architecture for row in rows]
    assert trials[7].value == 7.0
    assert trials[7].origin == Origin.GIVEN
    assert not trials[7].reused
    assert taught(trials) == trials[:MAX_TRIALS]


def test_a_result_that_is_there_stays_and_one_under_way_is_closed(
    ledger: Ledger, new_run: Callable[..., Run]
) -> None:
    first, second, third = (new_run(ledger) for _ in range(3))
    ledger.trials.give(first.id, given(2))
    from vitruvius.memory.records import NewTrial

    waits = NewTrial(
        architecture=Architecture.of({"row": 2}), fidelity="1ep", seed=0, origin=Origin.ARCHITECT
    )
    ledger.trials.open(second.id, None, [waits])
    other = [GivenRow(**{**vars(row), "value": 99.0}) for row in given(3)]
    assert ledger.trials.settled(first.id) == (2, 2)
    assert ledger.trials.settled(second.id) == (0, 0)
    ledger.trials.give(third.id, other)
    assert ledger.trials.settled(second.id) == (1, 1)
    assert [trial.value for trial in ledger.trials.of(third.id)] == [0.0, 1.0, 99.0]
    assert [trial.reused for trial in ledger.trials.of(third.id)] == [True, True, True]
    assert ledger.trials.of(second.id)[0].value == 99.0


def test_columns_of_one_table_have_different_answers() -> None:
    assert answers_of(Rows()) == "rows-1"
