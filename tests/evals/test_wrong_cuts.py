"""A wrong start removes all of the best, and a run recovers from it."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.oracle import Truth
from vitruvius.evals.searches import run_search
from vitruvius.evals.wrong_cuts import KINDS, kind_of, wrong_rule
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import holds
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask


def truth_of(shared_data: Path, metric: str) -> Truth:
    task = load_task(f"table:{shared_data}/nas_bench_201.parquet,metric={metric}")
    assert isinstance(task, TabularTask)
    return Truth.of(Cell(), task)


@pytest.mark.parametrize("metric", ["c10", "in16"])
def test_a_wrong_rule_removes_every_one_of_the_best(shared_data: Path, metric: str) -> None:
    truth = truth_of(shared_data, metric)
    best = [a for a, (value, _) in truth.values.items() if value >= truth.threshold]
    features = truth.space.featurise(best)
    rules = [wrong_rule(truth, seed) for seed in range(30)]
    assert {kind_of(seed) for seed in range(3)} == set(KINDS)
    assert len({rule.key for rule in rules}) > 8
    for rule in rules:
        assert not holds(rule, truth.space, features).any()
        cut = Cut(number=1, rule=rule, principle="", reason="")
        assert Region(truth.space).with_cut(cut).fraction() > 0.001
    assert rules == [wrong_rule(truth, seed) for seed in range(30)]


def test_a_run_recovers_from_each_kind(shared_data: Path) -> None:
    truth = truth_of(shared_data, "c10")
    hits = []
    for seed in range(3):
        found = run_search(
            truth.space, truth.task, queries=40, seed=seed, cuts=[wrong_rule(truth, seed)]
        )
        hits.append([t.number for t in found.trials if (t.value or 0) >= truth.threshold])
    assert all(hits)
    assert np.median([numbers[0] for numbers in hits]) <= 20
