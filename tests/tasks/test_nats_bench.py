import bz2
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.nas_bench_201 import published_costs
from vitruvius.tasks.tables.nats_bench import META
from vitruvius.tasks.tables.safe_pickle import read_packed_pickle
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Fidelity
from vitruvius.tasks.testing import TabularTaskContract

NUMBERS = (0, 11, 284)
DATA_SETS = ["c10", "c100", "in16"]
FULL = Fidelity(epochs=200)


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "nats_bench_sample"


@pytest.fixture(scope="module")
def parquet(shared_data: Path) -> Path:
    return shared_data / "nas_bench_201.parquet"


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[int, str]:
    listed = read_packed_pickle(folder / META)["meta_archs"]
    return {number: listed[number] for number in NUMBERS}


def write(path: Path, thing: object) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(thing)))


class TestMeans(TabularTaskContract):
    @pytest.fixture
    def task(self, folder: Path) -> TabularTask:
        return load(f"table:{folder},metric=c100,max_params=500000")


class TestNoise(TabularTaskContract):
    @pytest.fixture
    def task(self, folder: Path) -> TabularTask:
        return load(f"table:{folder},metric=ImageNet16-120,noise=true")


@pytest.mark.parametrize("metric", DATA_SETS)
@pytest.mark.parametrize("epochs", [12, 200])
def test_the_numbers_are_those_of_the_parquet_table(
    folder, parquet, names, metric: str, epochs: int
) -> None:
    official = load(f"table:{folder},metric={metric},epochs={epochs}")
    known = load(f"table:{parquet},metric={metric},epochs={epochs}")
    for name in names.values():
        cell = from_string(name)
        found = official.lookup(cell, official.fidelity, 0)
        expected = known.lookup(cell, known.fidelity, 0)
        assert found.value == pytest.approx(expected.value, abs=1e-4)
        assert found.test == pytest.approx(expected.test, abs=1e-4)
        assert found.train_s == pytest.approx(expected.train_s, abs=1e-2)
        assert (found.params, found.flops) == (expected.params, expected.flops)
    assert (official.metric, official.signature) == (known.metric, known.signature)


def test_single_runs_are_those_of_the_parquet_table(folder, parquet, names) -> None:
    official, known = (load(f"table:{path},noise=true") for path in (folder, parquet))
    for name in names.values():
        cell = from_string(name)
        runs = [[task.lookup(cell, FULL, s).value for s in range(3)] for task in (official, known)]
        assert runs[0] == pytest.approx(
            runs[1], abs=1e-4
        )  # in the order of the seeds 777, 888, 999
        assert len(set(runs[0])) == 3


def test_validation_runs_of_the_other_sets_are_the_recorded_ones(folder, names) -> None:
    record = read_packed_pickle(folder / "000011.pickle.pbz2")["200"]["all_results"]
    wanted = [record["cifar100", seed]["eval_acc1es"]["x-valid@199"] for seed in (777, 888, 999)]
    task = load(f"table:{folder},metric=c100,noise=true")
    cell = from_string(names[11])
    assert [task.lookup(cell, FULL, seed).value for seed in range(4)] == [*wanted, wanted[0]]


@pytest.mark.parametrize("metric", DATA_SETS)
def test_counted_costs_are_those_recorded(parquet, folder, names, metric: str) -> None:
    table = pq.read_table(parquet, columns=["arch", "c10_params_m_derived", f"{metric}_flops_m"])
    cells = [from_string(text) for text in table["arch"].to_pylist()[::50]]
    params, flops = published_costs(metric, cells)
    extra = {"c10": 0, "c100": 5850, "in16": 7150}[metric]
    derived = table["c10_params_m_derived"].to_numpy()[::50]
    np.testing.assert_array_equal(params, np.rint(derived * 1e6) + extra)
    np.testing.assert_array_equal(flops, np.rint(table[f"{metric}_flops_m"].to_numpy()[::50] * 1e6))
    official = {"c10": "cifar10", "c100": "cifar100", "in16": "ImageNet16-120"}[metric]
    for number, name in names.items():
        run = read_packed_pickle(folder / f"{number:06d}.pickle.pbz2")["200"]["all_results"]
        counted = published_costs(metric, [from_string(name)])
        recorded = run[official, 777]["params"], run[official, 777]["flop"]
        assert [int(c[0]) for c in counted] == [round(1e6 * r) for r in recorded]


def test_official_names_mean_the_same_task(folder) -> None:
    ours, theirs = (load(f"table:{folder},metric={name}") for name in ("c10", "cifar10"))
    assert (ours.name, ours.id) == (theirs.name, theirs.id) == ("c10", ours.id)


def test_both_fidelities_answer_with_their_seconds(folder, names) -> None:
    task, cell = load(f"table:{folder}"), from_string(names[284])
    short, full = (task.lookup(cell, Fidelity(epochs=epochs), 0) for epochs in (12, 200))
    assert short.train_s / full.train_s == pytest.approx(12 / 200)
    assert short.value == pytest.approx(72.876, abs=1e-3)  # mean of the seeds 111 and 777
    assert [fidelity.epochs for fidelity in task.fidelities] == [12, 200]
    assert task.fidelities[FULL] == pytest.approx(1444.219, abs=1e-2)  # of 975, 1444 and 2492 s


def test_a_folder_with_some_records_is_a_pool(folder, names) -> None:
    space = load_space(f"table:{folder}")
    assert isinstance(space, Pool)
    assert set(space.members()) == {Cell().canonical(from_string(n)) for n in names.values()}
    assert load_space(space.ref) == space
    assert space.id == Cell().id
    task = load(f"table:{folder}")
    task.check_space(space)
    assert set(task.all_values()) == set(space.members())
    assert task.top_threshold() == max(value for value, _ in task.all_values().values())


def test_a_cell_without_a_record_is_said(folder) -> None:
    with pytest.raises(ToolError, match="no row for"):
        load(f"table:{folder}").lookup(
            Cell().parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"), FULL, 0
        )


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    for path in (tmp_path / "copy").iterdir():
        path.chmod(0o644)
    (tmp_path / "copy").chmod(0o755)
    return tmp_path / "copy"


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("name", [META, "000011.pickle.pbz2"])
def test_a_pickle_that_runs_a_program_is_refused_unrun(copy: Path, name: str) -> None:
    thing = read_packed_pickle(copy / name)
    thing["x"] = Evil(copy / "was-here")
    write(copy / name, thing)
    with pytest.raises(ConfigError, match=rf"{name} asks for (posix|nt)\.system"):
        load(f"table:{copy}")
    assert not (copy / "was-here").exists()


def test_another_content_is_another_task(copy: Path, folder: Path) -> None:
    assert load(f"table:{copy}").id == load(f"table:{folder}").id
    record = read_packed_pickle(copy / "000011.pickle.pbz2")
    run = record["200"]["all_results"]["cifar10-valid", 777]
    run["eval_acc1es"]["x-valid@199"] += 0.5
    write(copy / "000011.pickle.pbz2", record)
    assert load(f"table:{copy}").id != load(f"table:{folder}").id


def test_a_folder_that_is_none_is_refused_in_one_sentence(copy: Path) -> None:
    record = read_packed_pickle(copy / "000011.pickle.pbz2")
    write(copy / "000012.pickle.pbz2", record)
    with pytest.raises(ConfigError, match=r"000012.pickle.pbz2 is of .* meta.pickle.pbz2 says"):
        load(f"table:{copy}")
    write(copy / "000012.pickle.pbz2", {"200": {"arch_str": "?"}})
    with pytest.raises(ConfigError, match="000012"):
        load(f"table:{copy}")
    write(copy / "000012.pickle.pbz2", [1])
    with pytest.raises(ConfigError, match="is not a NATS-Bench record"):
        load(f"table:{copy}")
    (copy / "000012.pickle.pbz2").rename(copy / "020000.pickle.pbz2")
    with pytest.raises(ConfigError, match="lists 15625 architectures"):
        load(f"table:{copy}")
    write(copy / META, {"meta_archs": [1]})
    with pytest.raises(ConfigError, match="lists no architectures"):
        load(f"table:{copy}")
    (copy / META).unlink()
    with pytest.raises(ConfigError, match="there is no table at"):
        load(f"table:{copy}")


def test_a_record_without_a_schedule_lacks_only_that(copy: Path, names) -> None:
    record = read_packed_pickle(copy / "000011.pickle.pbz2")
    del record["12"]
    write(copy / "000011.pickle.pbz2", record)
    task, cell = load(f"table:{copy}"), from_string(names[11])
    assert task.lookup(cell, FULL, 0).value == pytest.approx(87.94, abs=1e-2)
    with pytest.raises(ToolError, match=r"nothing is recorded .* 12ep"):
        task.lookup(cell, Fidelity(epochs=12), 0)
