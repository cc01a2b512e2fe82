"""Conformance suites for tasks: subclass, give the fixture `task`, inherit the tests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from vitruvius.errors import ToolError
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import IGNORED, Split, Task, TrainableTask

_PRINT_DIGEST = """
import sys
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.testing import digest
task = load_task(sys.argv[1])
print(task.id, digest(task))
"""


def digest(task: TrainableTask) -> str:
    """Returns a hash of everything that `load` returns."""
    splits = task.load()
    text = hashlib.sha256()
    for part in (splits.train, splits.valid, splits.test):
        text.update(part.inputs.tobytes() + part.labels.tobytes())
    return text.hexdigest()


class TaskContract:
    """What every task promises."""

    @pytest.fixture
    def task(self) -> Task:
        raise NotImplementedError

    def test_it_names_itself(self, task: Task) -> None:
        assert task.name
        assert task.id.startswith(task.name)
        assert task.id != task.name
        assert task.describe().startswith(task.name)

    def test_its_reference_makes_the_same_task(self, task: Task) -> None:
        again = load_task(task.ref)
        assert (again.id, again.ref, again.name) == (task.id, task.ref, task.name)
        assert again.fidelity == task.fidelity
        assert again.constraints == task.constraints
        assert again.metric == task.metric


class _DataContract(TaskContract):
    """What a task whose networks are really trained promises besides."""

    @pytest.fixture
    def task(self) -> TrainableTask:
        raise NotImplementedError

    def test_splits_are_disjoint(self, task: TrainableTask) -> None:
        splits = task.load()
        train, valid, test = (_rows(p) for p in (splits.train, splits.valid, splits.test))
        assert not train & valid
        assert not train & test
        assert not valid & test

    def test_splits_are_the_same_at_each_call_and_in_another_process(
        self, task: TrainableTask
    ) -> None:
        here = digest(task)
        assert digest(task) == here
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        there = subprocess.run(
            [sys.executable, "-c", _PRINT_DIGEST, task.ref],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert there.stdout.split() == [task.id, here]

    def test_loading_leaves_the_global_generator_alone(self, task: TrainableTask) -> None:
        before = pickle.dumps(np.random.get_state())  # noqa: NPY002
        load_task(task.ref).load()  # type: ignore[attr-defined]  # a task that can be trained
        assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


class TrainableTaskContract(_DataContract):
    """What a task of numbers, whose examples have one label each, promises besides."""

    def test_splits_have_the_promised_shape(self, task: TrainableTask) -> None:
        splits, signature = task.load(), task.signature
        for part in (splits.train, splits.valid, splits.test):
            assert part.inputs.dtype == np.float32
            assert part.labels.dtype == np.int64
            assert part.inputs.shape == (len(part.labels), *signature.input_shape)
            assert np.isfinite(part.inputs).all()
            assert part.labels.min() >= 0
            assert part.labels.max() < signature.outputs
        assert set(splits.train.labels.tolist()) == set(range(signature.outputs))

    def test_training_inputs_are_standardised(self, task: TrainableTask) -> None:
        inputs = task.load().train.inputs.astype(np.float64)
        axes = (0, *range(2, inputs.ndim))
        np.testing.assert_allclose(inputs.mean(axis=axes), 0.0, atol=1e-4)
        spread = inputs.std(axis=axes)
        np.testing.assert_allclose(spread[spread > 0], 1.0, atol=1e-3)


class TokenTaskContract(_DataContract):
    """What a task on text promises besides."""

    def test_splits_have_the_promised_shape(self, task: TrainableTask) -> None:
        splits, signature = task.load(), task.signature
        assert signature.per_token
        assert signature.vocabulary == signature.outputs
        for part in (splits.train, splits.valid, splits.test):
            assert part.inputs.dtype == part.labels.dtype == np.int64
            assert part.inputs.shape == part.labels.shape
            assert part.inputs.shape == (len(part.inputs), *signature.input_shape)
            judged = part.labels[part.labels != IGNORED]
            assert ((part.labels != IGNORED).sum(axis=1) > 0).all()
            for tokens in (part.inputs, judged):
                assert tokens.min() >= 0
                assert tokens.max() < signature.outputs
        assert (splits.train.labels == IGNORED).any() != signature.causal

    def test_less_is_better(self, task: TrainableTask) -> None:
        assert task.metric.direction == "min"


class TabularTaskContract(TaskContract):
    """What a task that answers from a table promises besides."""

    @pytest.fixture
    def task(self) -> TabularTask:
        raise NotImplementedError

    def test_every_recorded_architecture_has_an_answer(self, task: TabularTask) -> None:
        for architecture in list(task.table.index)[:50]:
            row = task.lookup(architecture, task.fidelity, 0)
            assert np.isfinite([row.value, row.train_s]).all()
            assert row.params is None or row.params >= 0
            assert row.flops is None or row.flops >= 0

    def test_costs_are_known_beforehand_and_are_those_of_the_row(self, task: TabularTask) -> None:
        for architecture in list(task.table.index)[:50]:
            costs, row = task.costs(architecture), task.lookup(architecture, task.fidelity, 0)
            assert costs is not None
            assert (costs.get("params"), costs.get("flops")) == (row.params, row.flops)
            assert set(costs) <= set(task.cost_names)
            assert all(np.isfinite(cost) for cost in costs.values())

    def test_its_fidelities_answer(self, task: TabularTask) -> None:
        assert task.fidelity in task.fidelities
        seconds = list(task.fidelities.values())
        assert seconds == sorted(seconds)
        for fidelity in task.fidelities:
            answers = 0
            for architecture in list(task.table.index)[:50]:
                with contextlib.suppress(ToolError):
                    assert task.lookup(architecture, fidelity, 0).train_s >= 0
                    answers += 1
            assert answers

    def test_the_seed_matters_only_where_the_task_is_noisy(self, task: TabularTask) -> None:
        architectures: list[Architecture] = list(task.table.index)[:50]
        values = [
            {task.lookup(architecture, task.fidelity, seed).value for seed in range(6)}
            for architecture in architectures
        ]
        assert any(len(found) > 1 for found in values) == task.is_noisy


def _rows(part: Split) -> set[bytes]:
    return {row.tobytes() for row in part.inputs}
