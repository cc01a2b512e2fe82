"""Sources for experiments: twists turn round just what they say, and nothing is made up."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.evals.table_sources import (
    best_of,
    inverted,
    random_source,
    shuffled,
    top_reversed,
    whole_source,
)
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask


@pytest.fixture(scope="module")
def task(shared_data: Path) -> TabularTask:
    found = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10")
    assert isinstance(found, TabularTask)
    return found


@pytest.fixture(scope="module")
def source(task: TabularTask) -> Source:
    return random_source(load_space("nb201"), task, 50, np.random.default_rng(0))


def values(source: Source) -> list[float]:
    return [trial.value for trial in source.trials if trial.value is not None]


def ranks(source: Source) -> list[int]:
    return np.argsort(np.argsort(values(source), kind="stable")).tolist()


def test_a_source_says_what_the_table_says(task: TabularTask, source: Source) -> None:
    assert len({trial.architecture for trial in source.trials}) == 50
    for trial in source.trials:
        assert trial.value == task.lookup(trial.architecture, task.fidelity, 0).value


def test_the_best_are_kept_and_nothing_else(source: Source) -> None:
    assert values(best_of(source, 5)) == sorted(values(source), reverse=True)[:5]


def test_inversion_turns_every_rank_round(source: Source) -> None:
    assert ranks(inverted(source)) == [49 - rank for rank in ranks(source)]
    assert sorted(values(inverted(source))) == sorted(values(source))


def test_only_the_top_is_reversed(source: Source) -> None:
    expected = [94 - rank if rank >= 45 else rank for rank in ranks(source)]
    assert ranks(top_reversed(source)) == expected


def test_shuffled_values_are_the_same_values(source: Source) -> None:
    dealt = shuffled(source, np.random.default_rng(1))
    assert values(dealt) != values(source)
    assert sorted(values(dealt)) == sorted(values(source))


def test_the_whole_table_has_every_member(task: TabularTask) -> None:
    space = load_space("nb201")
    members = space.members()
    assert members is not None
    assert [t.architecture for t in whole_source(space, task).trials] == list(members)
