import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, from_string, to_string
from vitruvius.spaces.macro import Macro
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.nas_bench_201 import read_nas_bench_201
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Constraints, Fidelity
from vitruvius.tasks.testing import TabularTaskContract

FULL = Fidelity(epochs=200)
ALL_SKIP = "|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


@pytest.fixture(scope="module")
def parquet(shared_data: Path) -> Path:
    return shared_data / "nas_bench_201.parquet"


@pytest.fixture(scope="module")
def columns(parquet: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(parquet)
    return {name: table[name].to_numpy() for name in table.column_names}


class TestMeans(TabularTaskContract):
    @pytest.fixture
    def task(self, parquet: Path) -> TabularTask:
        return load(f"table:{parquet},metric=c100,epochs=12")


class TestNoise(TabularTaskContract):
    @pytest.fixture
    def task(self, parquet: Path) -> TabularTask:
        return load(f"table:{parquet},metric=in16,noise=true,params=1000000")


def test_loading_is_fast(parquet: Path) -> None:
    started = time.process_time()
    load(f"table:{parquet}")
    assert time.process_time() - started < 2.0  # 0.3 s on an idle core


@pytest.mark.parametrize("metric", ["c10", "c100", "in16"])
@pytest.mark.parametrize("epochs", [12, 200])
def test_means_are_the_recorded_columns(parquet, columns, metric: str, epochs: int) -> None:
    task = load(f"table:{parquet},metric={metric},epochs={epochs}")
    for row in (0, 777, 15624):
        found = task.lookup(from_string(columns["arch"][row]), task.fidelity, 3)
        assert found.value == pytest.approx(columns[f"{metric}_val_{epochs}"][row], abs=1e-4)
        assert found.test == pytest.approx(columns[f"{metric}_test_{epochs}"][row], abs=1e-4)
        seconds = columns["c10_25k_train_s_200" if metric == "c10" else f"{metric}_train_s_200"]
        assert found.train_s == pytest.approx(seconds[row] * epochs / 200, rel=1e-4)


def test_parameters_are_the_derived_ones(parquet, columns) -> None:
    wrong = int(np.argmax(np.abs(columns["c10_params_m"] - columns["c10_params_m_derived"])))
    cell = from_string(columns["arch"][wrong])
    found = load(f"table:{parquet}").lookup(cell, FULL, 0)
    assert found.params == round(columns["c10_params_m_derived"][wrong] * 1e6)
    other = load(f"table:{parquet},metric=c100").lookup(cell, FULL, 0)
    assert other.params == found.params + 90 * 64 + 90


def test_noise_draws_the_recorded_runs_of_cifar_10(parquet, columns) -> None:
    task = load(f"table:{parquet},noise=true")
    assert task.is_noisy
    for row in (0, int(np.argmin(columns["n_seeds_200"]))):
        runs = [columns[f"c10_val_200_run{run}"][row] for run in (1, 2, 3)]
        recorded = {round(float(run), 4) for run in runs if not np.isnan(run)}
        cell = from_string(columns["arch"][row])
        assert len(recorded) == columns["n_seeds_200"][row]
        assert {task.lookup(cell, FULL, seed).value for seed in range(6)} == recorded
        assert task.lookup(cell, FULL, 4) == task.lookup(cell, FULL, 4)


@pytest.mark.parametrize("metric", ["c100", "in16"])
def test_single_validation_runs_average_to_the_validation_mean(parquet, columns, metric) -> None:
    recorded = read_nas_bench_201(parquet, metric).by_epochs[200]
    gap = np.abs(np.nanmean(recorded.runs, axis=1) - recorded.value)
    assert (gap < 0.02).mean() > 0.84  # the other rows' mean column leaves one run out
    some = np.stack(
        [
            recorded.runs[:, list(chosen)].mean(axis=1)
            for chosen in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
        ]
    )
    assert np.nanmin(np.abs(some - recorded.value), axis=0).max() < 0.02
    assert np.array_equal((~np.isnan(recorded.runs)).sum(axis=1), columns["n_seeds_200"])


def test_noise_needs_recorded_runs(parquet) -> None:
    with pytest.raises(ConfigError, match="no single runs at 12 epochs"):
        load(f"table:{parquet},epochs=12,noise=true")


def test_a_class_answers_with_its_canonical_member(parquet, columns) -> None:
    task, space = load(f"table:{parquet}"), Cell()
    canonical = space.canonical(from_string(ALL_SKIP))
    row = {text: i for i, text in enumerate(columns["arch"])}[to_string(canonical)]
    expected = pytest.approx(columns["c10_val_200"][row], abs=1e-4)
    assert task.lookup(canonical, FULL, 0).value == expected


def test_where_the_canonical_row_is_missing_the_smallest_index_answers(
    parquet, columns, tmp_path: Path
) -> None:
    space = Cell()
    members: dict[str, list[int]] = {}
    for row, text in enumerate(columns["arch"]):
        canonical = to_string(space.canonical(from_string(text)))
        members.setdefault(canonical, []).append(row)
    canonical = next(c for c, rows in members.items() if len(rows) > 3)
    rows = [row for row in members[canonical] if columns["arch"][row] != canonical]
    table = pq.read_table(parquet)
    keep = [*reversed(rows), 5, 6]  # in another order than the benchmark's
    pq.write_table(table.take(keep), tmp_path / "part.parquet")
    task = load(f"table:{tmp_path / 'part.parquet'}")
    found = task.lookup(space.canonical(from_string(canonical)), FULL, 0)
    assert found.value == pytest.approx(columns["c10_val_200"][min(rows)], abs=1e-4)


def test_a_missing_row_and_a_missing_fidelity_are_said(parquet, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(parquet).slice(0, 3), tmp_path / "part.parquet")
    task, space = load(f"table:{tmp_path / 'part.parquet'}"), Cell()
    lacking = space.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    with pytest.raises(ToolError, match="no row for"):
        task.lookup(lacking, FULL, 0)
    with pytest.raises(ToolError, match="200, 12 epochs, not 50"):
        task.lookup(lacking, Fidelity(epochs=50), 0)
    with pytest.raises(ToolError, match="on all data only, not 200ep-50%"):
        task.lookup(lacking, Fidelity(epochs=200, data=0.5), 0)


def test_both_fidelities_answer_whatever_the_search_uses(parquet) -> None:
    task, cell = load(f"table:{parquet}"), from_string(ALL_SKIP)
    short = load(f"table:{parquet},epochs=12").lookup(cell, Fidelity(epochs=12), 0)
    assert task.lookup(cell, Fidelity(epochs=12), 0) == short


@pytest.mark.parametrize("metric", ["c10", "c100", "in16"])
def test_the_top_of_the_table_is_the_sixteenth_row(parquet, columns, metric: str) -> None:
    task = load(f"table:{parquet},metric={metric}")
    best = np.sort(columns[f"{metric}_val_200"])[::-1]
    assert task.top_threshold() == pytest.approx(best[15], abs=1e-4)
    values, tests = task.raw_rows()
    assert (values >= task.top_threshold()).sum() >= 16
    assert tests.max() == pytest.approx(columns[f"{metric}_test_200"].max(), abs=1e-4)


def test_all_values_are_those_of_the_canonical_members(parquet) -> None:
    task, space = load(f"table:{parquet}"), Cell()
    everything = task.all_values()
    assert set(everything) == set(space.members())
    for member in list(everything)[::500]:
        row = task.lookup(member, FULL, 0)
        assert everything[member] == (row.value, row.test)
    threshold = task.top_threshold()
    hits = sum(valid >= threshold for valid, _ in everything.values())
    assert 5 <= hits <= 25


@pytest.mark.parametrize(
    "option", ["metric=c100", "epochs=12", "noise=true", "params=5", "flops=5"]
)
def test_each_option_changes_the_id(parquet, option: str) -> None:
    assert load(f"table:{parquet},{option}").id != load(f"table:{parquet}").id


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("metric=c11", "must be one of c10, c100, in16"),
        ("epochs=100", "must be one of 200, 12"),
        ("noise=yes", "must be one of true, false"),
        ("split=test", "has no option 'split'"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(parquet, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(f"table:{parquet},{option}")


def test_constraints_are_kept_and_told(parquet) -> None:
    task = load(f"table:{parquet},params=500000,flops=6e7")
    assert task.constraints == Constraints(params=500_000, flops=60_000_000)
    assert "at most 500,000 parameters and at most 60,000,000 multiply-adds" in task.describe()
    broken = task.constraints.violation(params=600_000, flops=1)
    assert broken == "constraint: 600,000 parameters, at most 500,000 are allowed"
    assert task.constraints.violation(params=1, flops=70_000_000) is not None
    assert task.constraints.violation(params=500_000, flops=60_000_000) is None


def test_broken_files_are_refused_in_one_sentence(parquet, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not a parquet file")
    with pytest.raises(ConfigError, match="cannot read the table"):
        load(f"table:{tmp_path / 'text.parquet'}")
    table = pq.read_table(parquet).slice(0, 4)
    pq.write_table(table.drop_columns(["c10_val_200"]), tmp_path / "lacks.parquet")
    with pytest.raises(ConfigError, match="lacks the columns c10_val_200"):
        load(f"table:{tmp_path / 'lacks.parquet'}")
    (tmp_path / "cut.parquet").write_bytes(parquet.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="cannot read the table"):
        load(f"table:{tmp_path / 'cut.parquet'}")
    for text in ("|conv~0|", "|conv_9x9~0|+|none~0|none~1|+|none~0|none~1|none~2|", None):
        arch = pa.array([text] * 4, pa.large_string())
        wrong = table.set_column(table.column_names.index("arch"), "arch", arch)
        pq.write_table(wrong, tmp_path / "wrong.parquet")
        with pytest.raises(ConfigError, match="not a NAS-Bench-201 cell"):
            load(f"table:{tmp_path / 'wrong.parquet'}")
    index = table.column_names.index("c10_test_200")
    gaps = table.set_column(index, "c10_test_200", pa.array([1.0, None, 2.0, 3.0], pa.float32()))
    pq.write_table(gaps, tmp_path / "gaps.parquet")
    with pytest.raises(ConfigError, match="empty cells in the columns of c10"):
        load(f"table:{tmp_path / 'gaps.parquet'}")
    with pytest.raises(ConfigError, match="there is no table at"):
        load(f"table:{tmp_path}")


def test_a_space_that_the_table_does_not_know_is_refused(parquet) -> None:
    from vitruvius.spaces.registry import load_space

    task = load(f"table:{parquet}")
    task.check_space(load_space("nb201:channels=16"))
    with pytest.raises(ConfigError, match="no row for architectures of space macro"):
        task.check_space(load_space("macro"))


def test_the_fidelities_are_those_recorded_with_their_usual_seconds(parquet, columns) -> None:
    task = load(f"table:{parquet},metric=in16")
    usual = np.median(columns["in16_train_s_200"])
    assert list(task.fidelities) == [Fidelity(epochs=12), FULL]
    assert list(task.fidelities.values()) == pytest.approx([usual * 12 / 200, usual], rel=1e-6)


def test_costs_are_those_of_the_row_that_answers(parquet, columns) -> None:
    task = load(f"table:{parquet},metric=c100")
    for row in (0, 777, 15624):
        cell = from_string(columns["arch"][row])
        found = task.lookup(cell, FULL, 0)
        assert task.costs(cell) == {"params": found.params, "flops": found.flops}
    assert task.costs(Macro().sample(np.random.default_rng(0))) is None
