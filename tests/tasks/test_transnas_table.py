"""The TransNAS-Bench-101 micro table: five tasks, each with its own metric."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.transnas import TransNas, from_code
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Constraints, Fidelity, Metric
from vitruvius.tasks.testing import TabularTaskContract

TOP1 = Metric(name="top-1 accuracy", direction="max", unit="%")
EXPECTED = {
    "class_scene": ("top1", TOP1, 25),
    "class_object": ("top1", TOP1, 25),
    "room_layout": ("neg_loss", Metric(name="negative loss", direction="max"), 25),
    "jigsaw": ("top1", TOP1, 10),
    "autoencoder": ("ssim", Metric(name="SSIM", direction="max"), 30),
}


@pytest.fixture(scope="module")
def parquet(shared_data: Path) -> Path:
    return shared_data / "transnas_bench_101_micro.parquet"


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


class TestJigsaw(TabularTaskContract):
    @pytest.fixture
    def task(self, parquet: Path) -> TabularTask:
        return load(f"table:{parquet},metric=jigsaw,params=5000000")


@pytest.mark.parametrize("name", list(EXPECTED))
def test_each_task_answers_in_its_own_metric(parquet: Path, name: str) -> None:
    column, metric, epochs = EXPECTED[name]
    task = load(f"table:{parquet},metric={name}")
    assert (task.name, task.metric, task.fidelity) == (name, metric, Fidelity(epochs=epochs))
    raw = pq.read_table(parquet).to_pydict()
    for row in (0, 1234, 4095):
        found = task.lookup(from_code(raw["arch"][row]), task.fidelity, 7)
        assert found.value == pytest.approx(raw[f"{name}.valid_{column}"][row], abs=1e-6)
        assert found.test == pytest.approx(raw[f"{name}.test_{column}"][row], abs=1e-6)
        assert found.train_s == raw[f"{name}.train_seconds"][row]
    assert metric.name in task.describe()
    assert "higher is better" in task.describe()
    assert "best over epochs of one training" in task.describe()


def test_the_first_task_is_the_default_and_others_are_told(parquet: Path) -> None:
    assert load(f"table:{parquet}").name == "class_scene"
    with pytest.raises(ConfigError, match="one of class_scene, class_object, room_layout"):
        load(f"table:{parquet},metric=c10")
    with pytest.raises(ConfigError, match="must be one of 10, got '25'"):
        load(f"table:{parquet},metric=jigsaw,epochs=25")
    with pytest.raises(ConfigError, match="no noise to draw; use noise=false"):
        load(f"table:{parquet},noise=true")


def test_every_canonical_cell_has_an_answer(parquet: Path) -> None:
    task, space = load(f"table:{parquet},metric=room_layout"), TransNas()
    values = task.all_values()
    assert set(values) == set(space.members())
    assert len(values) == 1376
    with pytest.raises(ToolError, match="trainings of 25 epochs, not 200"):
        task.lookup(space.members()[0], Fidelity(epochs=200), 0)


@pytest.mark.parametrize(
    ("name", "hits"),
    [
        ("class_scene", 4),
        ("class_object", 4),
        ("room_layout", 2),
        ("jigsaw", 3),
        ("autoencoder", 2),
    ],
)
def test_the_top_of_the_table_is_the_fourth_row_and_can_be_reached(
    parquet: Path, name: str, hits: int
) -> None:
    task = load(f"table:{parquet},metric={name}")
    answers = np.array([value for value, _ in task.all_values().values()])
    assert (answers >= task.top_threshold()).sum() == hits
    fourth = np.sort(task.raw_rows()[0])[-4]
    if (answers >= fourth).any():
        assert task.top_threshold() == fourth
    else:  # the four best rows are twins of rows that answer with less
        assert task.top_threshold() < fourth


def test_a_metric_where_less_is_better_has_its_top_below(parquet: Path) -> None:
    task = load(f"table:{parquet},metric=class_scene")
    recorded = task.table.by_epochs[25]
    loss = replace(
        task,
        table=replace(
            task.table,
            metric=Metric(name="loss", direction="min"),
            by_epochs={25: replace(recorded, value=-recorded.value)},
        ),
    )
    assert loss.top_threshold() == -task.top_threshold()
    assert "lower is better" in loss.describe()


def test_sizes_are_those_of_the_backbone(parquet: Path) -> None:
    task = load(f"table:{parquet},metric=jigsaw,flops=1e9")
    row = task.lookup(from_code("1_00_210"), task.fidelity, 0)
    assert row.params == 910_687 - 63 * 513  # recorded with 63 outputs
    assert row.flops is not None
    assert task.constraints == Constraints(flops=1_000_000_000)
    assert task.constraints.violation(params=1, flops=row.flops) is None


def test_a_table_answers_its_own_space_only(parquet: Path) -> None:
    task = load(f"table:{parquet}")
    task.check_space(load_space("transnas:channels=16,modules=41414"))
    with pytest.raises(ConfigError, match="use the space transnas"):
        task.check_space(load_space("macro"))


def test_broken_files_are_refused_in_one_sentence(parquet: Path, tmp_path: Path) -> None:
    table = pq.read_table(parquet).slice(0, 4)
    lacking = tmp_path / "lacks.parquet"
    pq.write_table(table.drop_columns(["jigsaw.test_top1"]), lacking)
    assert load(f"table:{lacking},metric=autoencoder").name == "autoencoder"
    with pytest.raises(ConfigError, match=r"lacks the columns jigsaw\.test_top1"):
        load(f"table:{lacking},metric=jigsaw")
    for codes, message in (
        (["64-1234-basic"] * 4, "row 0 .* is no TransNAS micro cell"),
        ([None] * 4, "row 0 .* is no TransNAS micro cell"),
        (["64-41414-1_02_333"] * 4, "row 1 .* repeats the cell of row 0"),
    ):
        wrong = table.set_column(
            table.column_names.index("arch"), "arch", pa.array(codes, pa.large_string())
        )
        pq.write_table(wrong, tmp_path / "wrong.parquet")
        with pytest.raises(ConfigError, match=message):
            load(f"table:{tmp_path / 'wrong.parquet'}")
    place = table.column_names.index("class_scene.valid_top1")
    gaps = table.set_column(
        place, "class_scene.valid_top1", pa.array([1.0, None, 2.0, 3.0], pa.float32())
    )
    pq.write_table(gaps, tmp_path / "gaps.parquet")
    with pytest.raises(ConfigError, match="empty cells in the columns of class_scene"):
        load(f"table:{tmp_path / 'gaps.parquet'}")


def test_a_table_of_another_kind_is_not_taken_for_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"arch": ["a"], "accuracy": [1.0]}), tmp_path / "mine.parquet")
    with pytest.raises(
        ConfigError, match=r"row 1 of mine\.parquet has an architecture of no known"
    ):
        load(f"table:{tmp_path / 'mine.parquet'}")
