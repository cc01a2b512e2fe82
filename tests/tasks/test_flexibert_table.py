"""The FlexiBERT table: equal networks are one, scores are those of the file."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.transformers.space import FlexiBertTrained
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.flexibert import GLUE, METRIC_NAMES, published_networks
from vitruvius.tasks.tables.references import recorded_part
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Fidelity
from vitruvius.tasks.testing import TabularTaskContract


@pytest.fixture(scope="module")
def file(shared_data: Path) -> Path:
    return shared_data / "flexibert.json"


@pytest.fixture(scope="module")
def content(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


class TestGlue(TabularTaskContract):
    @pytest.fixture
    def task(self, file: Path) -> TabularTask:
        return load(f"table:{file},max_params=9000000")


class TestLong(TabularTaskContract):
    @pytest.fixture
    def task(self, file: Path) -> TabularTask:
        return load(f"table:{file},metric=glue_long,epochs=500")


def test_five_hundred_trainings_are_of_301_networks(file: Path) -> None:
    task, rows = load(f"table:{file}"), published_networks(file)
    assert (len(rows), len({row.architecture for row in rows})) == (500, 491)
    trained = Counter(FlexiBertTrained().canonical(row.architecture) for row in rows)
    assert trained.keys() == task.table.index.keys()
    assert (len(trained), sum(count > 1 for count in trained.values())) == (301, 77)
    runs = task.table.by_epochs[1].runs  # type: ignore[attr-defined]
    assert runs.shape == (301, max(trained.values()))
    for architecture, place in task.table.index.items():
        found = [
            row.scores["glue"]
            for row in rows
            if FlexiBertTrained().canonical(row.architecture) == architecture
        ]
        assert runs[place][: len(found)].tolist() == pytest.approx(found)
        assert task.lookup(architecture, task.fidelity, 0).value == pytest.approx(
            np.mean(found), abs=1e-6
        )


def test_the_seed_draws_one_of_the_equal_networks(file: Path) -> None:
    mean, noisy = load(f"table:{file}"), load(f"table:{file},noise=true")
    assert noisy.is_noisy
    most = max(
        mean.table.index,
        key=lambda one: len(mean.table.by_epochs[1].at(mean.table.index[one]).runs),
    )
    drawn = {noisy.lookup(most, noisy.fidelity, seed).value for seed in range(12)}
    assert len(drawn) == 12
    assert np.mean(list(drawn)) == pytest.approx(mean.lookup(most, mean.fidelity, 0).value)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_every_score_is_a_task(file: Path, content: dict[str, Any], metric: str) -> None:
    task = load(f"table:{file},metric={metric}")
    assert (task.name, task.metric.direction) == (metric, "max")
    assert "higher is better" in task.describe()
    if metric in GLUE:
        rows = content["architectures"]
        stored = np.mean([row["scores"][metric] for row in rows])
        weights = [len(task.table.by_epochs[1].at(place).runs) for place in range(301)]
        value = task.table.by_epochs[1].value
        assert np.average(value, weights=weights) == pytest.approx(stored)


def test_published_correlations_are_those_of_the_rows(file: Path) -> None:
    rows = published_networks(file)
    scores = [row.scores["glue"] for row in rows]
    depth = [len(row.architecture.spec["layers"]) for row in rows]
    confidence = [row.metrics["attention_confidence_norm"] for row in rows]
    assert kendalltau([row.params for row in rows], scores)[0] == pytest.approx(0.573, abs=5e-4)
    assert kendalltau(depth, scores)[0] == pytest.approx(0.682, abs=5e-4)
    assert kendalltau(confidence, scores)[0] == pytest.approx(0.299, abs=5e-4)


def test_costs_and_seconds_are_recorded(file: Path, content: dict[str, Any]) -> None:
    task, rows = load(f"table:{file},max_params=8000000"), published_networks(file)
    first = FlexiBertTrained().canonical(rows[0].architecture)
    assert task.costs(first) == {"params": 10_576_896}
    assert task.constraints.violation(params=10_576_896)
    assert task.lookup(first, task.fidelity, 0).train_s == pytest.approx(
        content["architectures"][0]["pretrain_seconds"], rel=0.1
    )


def test_long_trainings_have_fidelities_in_thousands_of_steps(
    file: Path, content: dict[str, Any]
) -> None:
    task = load(f"table:{file},metric=glue_long")
    assert [fidelity.epochs for fidelity in task.fidelities] == list(range(50, 1001, 50))
    assert "after 1000 thousand steps" in task.describe()
    row = content["train_ablation"][11]
    architecture = FlexiBertTrained().canonical(
        published_networks(file)[row["benchmark_id"]].architecture
    )
    stored = row["scores_by_step"]["100000"]
    mean = np.mean([stored[name] for name in GLUE])
    assert stored["glue"] == pytest.approx(2 * mean, abs=2)  # the stored mean is not one
    answer = task.lookup(architecture, Fidelity(epochs=100), 0)
    assert answer.value == pytest.approx(mean, abs=1e-6)


def test_the_space_is_that_of_the_networks_trained(file: Path) -> None:
    task = load(f"table:{file}")
    space = load_space(f"table:{file}")
    assert isinstance(space, Pool)
    assert len(space.members()) == 301
    task.check_space(space)
    part = recorded_part(task, FlexiBertTrained())
    assert set(part.members() or ()) == set(space.members())
    with pytest.raises(ConfigError, match="use the space flexibert_trained"):
        task.check_space(load_space("flexibert"))
    absent = next(one for one in FlexiBertTrained().members() if one not in task.table.index)
    with pytest.raises(ToolError, match="no row"):
        task.lookup(absent, task.fidelity, 0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[3].pop("scores"), r"architectures\[3\] of .* lacks 'scores'"),
        (lambda rows: rows[3].update(layers=7), r"architectures\[3\] of .* is no FlexiBERT"),
        (lambda rows: rows[3].update(hidden_size=64), "hidden of the architecture must be one"),
        (lambda rows: rows[3]["layers"].pop(), "a list of 2 or 4 layers"),
    ],
)
def test_a_wrong_row_is_named(
    content: dict[str, Any], tmp_path: Path, change: Any, sentence: str
) -> None:
    wrong = deepcopy(content)
    change(wrong["architectures"])
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    with pytest.raises(ConfigError, match=sentence):
        load_task(f"table:{tmp_path / 'wrong.json'}")


@pytest.mark.parametrize("text", ["[1, 2]", "{}", "no JSON"])
def test_other_json_is_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ConfigError):
        load_task(f"table:{tmp_path / 'other.json'}")
