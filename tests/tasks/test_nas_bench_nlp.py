"""The logs of NAS-Bench-NLP as a table and a pool."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.recurrent.graph import CLASSICS, GRU, LSTM, RNN
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.nas_bench_nlp import read_log
from vitruvius.tasks.tables.references import recorded_part
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Fidelity
from vitruvius.tasks.testing import TabularTaskContract
from vitruvius.tools.training.evaluation import Failed, FailureKind, Trained
from vitruvius.tools.training.evaluator import Request, TableEvaluator

SPACE = Recurrent()
RENAMED = {
    "other": {"op": "linear", "input": ["h_prev_0", "x"]},
    "h_new_0": {"op": "activation_tanh", "input": ["other"]},
}
SIGMOID = {
    "a": {"op": "linear", "input": ["x", "h_prev_0"]},
    "h_new_0": {"op": "activation_sigm", "input": ["a"]},
}
LEAKY = {**SIGMOID, "h_new_0": {"op": "activation_leaky_relu", "input": ["a"]}}


def line(number: int, recipe: dict[str, Any], val: list[float | None], **more: Any) -> str:
    row = {
        "id": number,
        "status": "OK",
        "num_params": 5_731_600,
        "recipe": recipe,
        "epochs_done": len(val),
        "epoch_seconds": 10.0,
        "val": val,
        "test": [None if value is None else value - 0.5 for value in val],
    }
    return json.dumps(row | more)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five cells: two runs of one, one of which diverged; one diverged; one overflowed."""
    path = tmp_path / "log.jsonl"
    lines = [
        line(0, RNN, [6.0, 5.0, 4.5]),
        line(1, RENAMED, [6.2, 5.2, 4.7], epoch_seconds=20.0),
        line(2, SIGMOID, [6.5, None], status="loss is nan!"),
        line(3, LEAKY, [], status="Exception: math range error", epoch_seconds=None),
        line(4, LSTM, [5.0, 4.0, 3.0], num_params=10_896_400),
        line(5, GRU, [5.0, 4.0, 3.5], num_params=9_174_800),
        line(6, GRU, [5.0, None], num_params=9_174_800, status="loss is nan!"),
    ]
    path.write_text("\n".join(lines))
    return path


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


class TestWrittenLog(TabularTaskContract):
    @pytest.fixture
    def task(self, tmp_path: Path) -> TabularTask:
        path = tmp_path / "log.jsonl"
        rows = [line(0, RNN, [6.0, 5.0]), line(1, RENAMED, [6.2, 5.2]), line(2, LEAKY, [7.0, 6.0])]
        path.write_text("\n".join(rows))
        return load(f"table:{path},noise=true,max_params=6000000")


class TestWikiText(TabularTaskContract):
    @pytest.fixture
    def task(self, shared_data: Path) -> TabularTask:
        return load(f"table:{shared_data / 'nas_bench_nlp_wikitext2.jsonl.gz'},epochs=10")


def answers(
    task: TabularTask, recipe: dict[str, Any], epochs: int = 3, seeds: int = 1
) -> list[Any]:
    cell = SPACE.parse(recipe)
    return [task.lookup(cell, Fidelity(epochs=epochs), seed) for seed in range(seeds)]


def test_ids_of_one_cell_are_runs_of_it(log: Path) -> None:
    mean, single = load(f"table:{log}"), load(f"table:{log},noise=true")
    assert len(mean.table.index) == 5
    (row,) = answers(mean, RENAMED)
    assert (row.value, row.test, row.params) == (pytest.approx(4.6), pytest.approx(4.1), 5_731_600)
    assert row.train_s == 3 * (10 + 20) / 2
    assert [row.value for row in answers(single, RNN, seeds=3)] == [4.5, 4.7, 4.5]


def test_every_epoch_is_a_fidelity(log: Path) -> None:
    task = load(f"table:{log}")
    assert [fidelity.epochs for fidelity in task.fidelities] == [1, 2, 3]
    assert [answers(task, LSTM, epochs)[0].value for epochs in (1, 2, 3)] == [5.0, 4.0, 3.0]
    assert [answers(task, LSTM, epochs)[0].train_s for epochs in (1, 2, 3)] == [10, 20, 30]
    assert load(f"table:{log},epochs=2").fidelity == Fidelity(epochs=2)


def test_a_training_that_diverged_is_a_failure_from_that_epoch_on(log: Path) -> None:
    task = load(f"table:{log},noise=true")
    first, second, third = (answers(task, SIGMOID, epochs)[0] for epochs in (1, 2, 3))
    assert (first.value, first.train_s) == (6.5, 10)
    assert not math.isfinite(second.value)
    assert (second.test, second.train_s, third.train_s) == (None, 20, 20)
    (overflowed,) = answers(task, LEAKY, 1)
    assert not math.isfinite(overflowed.value)
    assert overflowed.train_s == 10  # an epoch of the log's median length

    def outcome(recipe: dict[str, Any], seed: int) -> Any:
        request = Request(
            architecture=SPACE.parse(recipe), fidelity=task.fidelity, seed=seed, result_id=1
        )
        return asyncio.run(TableEvaluator(task, task.table.space).evaluate(request))

    failed = outcome(SIGMOID, 0)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.train_s) == (FailureKind.DIVERGED, 20)
    assert isinstance(outcome(GRU, 0), Trained)
    assert isinstance(outcome(GRU, 1), Failed)  # one of its two trainings diverged


def test_a_mean_leaves_out_what_diverged(log: Path) -> None:
    (row,) = answers(load(f"table:{log}"), GRU)
    assert (row.value, row.test) == (3.5, 3.0)


def test_the_classics_can_be_left_out_of_table_and_pool(log: Path) -> None:
    task, pool = load(f"table:{log},classics=false"), load_space(f"table:{log},classics=false")
    assert isinstance(pool, Pool)
    known = {SPACE.parse(recipe) for recipe in CLASSICS.values()}
    assert set(pool.members()) == set(task.table.index)
    assert not known & set(pool.members())
    assert len(pool.members()) == 2  # the RNN under its second id is left out too
    assert load_space(pool.ref) == pool
    assert task.id != load(f"table:{log}").id
    assert load(task.ref).id == task.id
    assert recorded_part(task, Recurrent()) == pool
    assert load_space(recorded_part(task, Recurrent()).ref) == pool
    for make in (load_task, load_space):
        with pytest.raises(ConfigError, match=r"classics .*must be .*true.* false.*'no'"):
            make(f"table:{log},classics=no")


def test_a_pool_can_be_of_networks_of_the_published_size(log: Path) -> None:
    pool = load_space(f"table:{log},space=recurrent:layers=3|hidden=600|embedding=400")
    assert pool.id == load_space("recurrent:layers=3,hidden=600,embedding=400").id
    load(f"table:{log}").check_space(pool)


def test_the_vocabulary_is_told_by_the_parameters(log: Path) -> None:
    task = load(f"table:{log}")
    words = 10_000
    assert task.signature == Signature(
        input_shape=(70,), outputs=words, vocabulary=words, per_token=True, causal=True
    )
    assert (task.name, task.metric.direction, task.metric.unit) == ("ptb", "min", "nats")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"recipe": 1, "status": 1, "num_params": 1, "epochs_done": 1, "val": 1, "test": 1}', "1"),
        (line(0, RNN, [1.0]) + "\n{}", "line 2 .*lacks epochs_done, num_params"),
        (line(0, RNN, [1.0]) + "\nx", "line 2"),
        (line(0, RNN, [1.0]) + "\n" + line(1, {}, [1.0]), "line 2 .*expected a recipe"),
    ],
)
def test_a_log_that_is_none_is_refused_with_its_line(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_task(f"table:{path}")


def test_the_shared_logs_hold_what_was_counted(shared_data: Path) -> None:
    runs = read_log(shared_data / "nas_bench_nlp_ptb.jsonl.gz")
    assert len(runs) == 4322
    assert sum(run.status != "OK" for run in runs) == 805
    assert all((len(run.val) == 50) == (run.status == "OK") for run in runs)
    by_id = {run.id: run for run in runs}
    assert [by_id[1_000_000 + place].architecture for place in range(3)] == [
        SPACE.parse(recipe) for recipe in CLASSICS.values()
    ]
    assert by_id[1_000_000].written == Architecture.of(RNN)
    task = load(f"table:{shared_data / 'nas_bench_nlp_ptb.jsonl.gz'}")
    values = task.table.by_epochs[50].value
    assert len(values) == 3776
    assert int(np.isnan(values).sum()) == 798
    best = list(task.table.index)[int(np.nanargmin(values))]
    assert best == SPACE.parse(LSTM)
    assert math.exp(task.lookup(best, task.fidelity, 0).test or 0) == pytest.approx(78.9, abs=0.1)
