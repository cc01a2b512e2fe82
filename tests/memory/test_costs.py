"""Costs known before training: hints that claim nothing, and limits that are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.minimal_search import MinimalSearch
from vitruvius.evals.oracle import Oracle, Truth
from vitruvius.evals.synthetic import SyntheticTask, create_space
from vitruvius.memory.model.prior import cost_hints, keeps_limits
from vitruvius.memory.records import Origin
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import reference_features
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import known_costs

CELL = load_space("nb201")


def table(folder: Path, more: str = "") -> TabularTask:
    task = load_task(f"table:{folder / 'nas_bench_201.parquet'},metric=c10{more}")
    assert isinstance(task, TabularTask)
    return task


def test_costs_are_hints_without_a_claim(shared_data: Path) -> None:
    hints = cost_hints(CELL, table(shared_data))
    assert [hint.name for hint in hints] == ["params", "flops"]
    for hint in hints:
        assert hint.trust == 0
        said = hint.values(reference_features(CELL))
        assert [said.mean(), said.std()] == pytest.approx([0, 1])


def test_a_score_that_is_a_cost_is_found_out_in_a_few_trials(shared_data: Path) -> None:
    task = table(shared_data)
    flops = {member: float(known_costs(task, member)["flops"]) for member in CELL.members() or ()}
    values = {member: (cost, cost) for member, cost in flops.items()}
    truth = replace(Truth.of(CELL, task), values=values, rows=np.sort(list(flops.values())))
    search = MinimalSearch(CELL, task, Oracle(truth, 20), 0)
    while len(search.trials) < 5:
        search.step()
    assert search.trials[-1].value == max(flops.values())


def test_a_task_that_knows_no_costs_has_no_hints_and_no_limits() -> None:
    space, task = create_space(), SyntheticTask()
    drawn = [space.sample(np.random.default_rng(0))]
    assert cost_hints(space, task) == ()
    assert keeps_limits(space, task, drawn).all()


def test_the_analyst_does_not_choose_what_it_knows_to_break_a_limit(shared_data: Path) -> None:
    task = table(shared_data, ",max_flops=30000000")
    oracle = Oracle(Truth.of(CELL, task), 20)
    search = MinimalSearch(CELL, task, oracle, 0)
    while len(search.trials) < 12:
        search.step()
    chosen = [t.architecture for t in search.trials if t.origin == Origin.ARCHITECT]
    assert len(chosen) == 8
    assert keeps_limits(CELL, task, chosen).all()
    assert not keeps_limits(CELL, task, CELL.members() or ()).all()
