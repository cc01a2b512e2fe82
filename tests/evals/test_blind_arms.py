"""Baselines ask only what they may, are deterministic by seed, and rank as they should."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.arms.blind import BASELINES
from vitruvius.evals.oracle import Oracle, Spent, Truth
from vitruvius.spaces.cells.cell import Cell
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask


@pytest.fixture(scope="module")
def truth(shared_data: Path) -> Truth:
    task = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10")
    assert isinstance(task, TabularTask)
    return Truth.of(Cell(), task)


def best(truth: Truth, name: str, seed: int, queries: int) -> list[float]:
    oracle = Oracle(truth, queries)
    with suppress(Spent):
        BASELINES[name](truth.space, oracle, np.random.default_rng(seed))
    values = list(oracle.asked.values())
    assert len(values) == queries
    return np.maximum.accumulate(values).tolist()


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_baseline_spends_its_queries_the_same_way_for_a_seed(truth: Truth, name: str) -> None:
    assert best(truth, name, 3, 12) == best(truth, name, 3, 12)
    assert best(truth, name, 3, 12) != best(truth, name, 4, 12)


def test_searches_beat_random(truth: Truth) -> None:
    final = {
        name: np.mean([best(truth, name, seed, 60)[-1] for seed in range(8)])
        for name in ("random", "evolution", "local")
    }
    assert final["evolution"] > final["random"]
    assert final["local"] > final["random"]


def test_the_threshold_is_the_16th_best_row(truth: Truth) -> None:
    assert truth.threshold == pytest.approx(91.418, abs=1e-3)
    hits = [value for value, _ in truth.values.values() if value >= truth.threshold]
    assert 10 <= len(hits) <= 16
    assert max(value for value, _ in truth.values.values()) <= truth.best


def test_an_oracle_answers_repeats_and_nothing_beyond(truth: Truth) -> None:
    members = list(truth.values)
    oracle = Oracle(truth, 2)
    assert oracle.ask(members[0]) == oracle.ask(members[0]) == truth.values[members[0]][0]
    oracle.ask(members[1])
    with pytest.raises(Spent):
        oracle.ask(members[2])
    assert oracle.ask(members[1]) == truth.values[members[1]][0]
