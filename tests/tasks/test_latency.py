import asyncio
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import known_costs
from vitruvius.tools.training.evaluation import Failed, FailureKind, Request, Trained
from vitruvius.tools.training.evaluator import TableEvaluator

DEVICES = [
    "1080ti_1", "1080ti_32", "2080ti_1", "essential_ph_1", "fpga", "gold_6226", "pixel2", "raspi4",
    "samsung_a50", "titanx_256",
]  # fmt: skip


def load(ref: str) -> TabularTask:
    task = load_task(ref)
    assert isinstance(task, TabularTask)
    return task


@pytest.fixture(scope="module")
def devices(shared_data: Path) -> Path:
    return shared_data / "nas_bench_201_latency_help.parquet"


@pytest.fixture(scope="module")
def base(shared_data: Path) -> str:
    return f"table:{shared_data / 'nas_bench_201.parquet'},metric=c10"


@pytest.fixture(scope="module")
def measured(devices: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(devices)
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.mark.parametrize("device", [DEVICES[0], DEVICES[7]])
def test_latency_is_that_of_the_row_that_answers(base, devices, measured, device: str) -> None:
    task = load(f"{base},latency={devices}:{device}")
    for row in (0, 777, 15624):
        costs = task.costs(from_string(measured["arch"][row]))
        assert costs is not None
        assert costs["latency_ms"] == pytest.approx(float(measured[device][row]))
        assert set(costs) == {"params", "flops", "latency_ms"}


def test_every_class_has_a_latency(base, devices) -> None:
    task = load(f"{base},latency={devices}:fpga")
    latencies = [known_costs(task, member)["latency_ms"] for member in Cell().members()]
    assert len(latencies) == 4930
    assert 0 <= min(latencies) < max(latencies) < 10


def test_what_is_too_slow_is_infeasible_and_its_score_is_not_told(base, devices, measured) -> None:
    task = load(f"{base},latency={devices}:raspi4,max_latency_ms=20,max_flops=1e8")
    assert task.describe().endswith(
        "Limits: at most 100,000,000 multiply-adds and at most 20 ms of latency."
    )
    slow = from_string(measured["arch"][int(np.argmax(measured["raspi4"]))])
    quick = from_string("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    evaluator = TableEvaluator(task, task.table.space)

    def evaluate(architecture):
        request = Request(result_id=1, architecture=architecture, fidelity=task.fidelity, seed=0)
        return asyncio.run(evaluator.evaluate(request))

    answer = evaluate(slow)
    assert isinstance(answer, Failed)
    assert answer.kind is FailureKind.INFEASIBLE
    assert answer.message.startswith("constraint: ")
    assert answer.train_s == 0
    assert isinstance(evaluate(quick), Trained)


@pytest.mark.parametrize("option", ["latency={}:fpga", "latency={}:fpga,max_latency_ms=3"])
def test_only_a_limit_changes_the_task(base, devices, option: str) -> None:
    changed = load(f"{base},{option.format(devices)}")
    assert (changed.id != load(base).id) == ("max" in option)
    assert load(changed.ref).id == changed.id


def test_a_limit_on_another_device_is_another_task(base, devices) -> None:
    one, other = (
        load(f"{base},latency={devices}:{device},max_latency_ms=9") for device in DEVICES[:2]
    )
    assert one.id != other.id


def test_wrong_devices_and_files_are_refused_in_one_sentence(base, devices, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"has no device 'phone'; it has .*, raspi4, samsung_a50"):
        load(f"{base},latency={devices}:phone")
    with pytest.raises(ConfigError, match="records no latency_ms to limit; it records params, fl"):
        load(f"{base},max_latency_ms=3")
    pq.write_table(pa.table({"arch": ["|x~0|"], "gpu": [1.0]}), tmp_path / "wrong.parquet")
    with pytest.raises(ConfigError, match=r"row 1 of wrong.parquet: expected a cell"):
        load(f"{base},latency={tmp_path / 'wrong.parquet'}:gpu")
    (tmp_path / "words.csv").write_text("edge_0_1,gpu\nnone,quick\n")
    with pytest.raises(ConfigError, match=r"row 1 of words.csv: gpu must be a number"):
        load(f"{base},latency={tmp_path / 'words.csv'}:gpu")


def test_a_row_without_latency_breaks_the_limit(base, tmp_path: Path) -> None:
    text = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"
    (tmp_path / "one.csv").write_text(f"arch,gpu\n{text},2\n")
    task = load(f"{base},latency={tmp_path / 'one.csv'}:gpu,max_latency_ms=3")
    assert task.constraints.violation(**known_costs(task, from_string(text))) is None
    other = known_costs(task, from_string(text.replace("1x1", "3x3")))
    assert "latency_ms" not in other
    assert task.constraints.violation(**other) == (
        "constraint: latency_ms is not known, at most 3 ms of latency allowed"
    )
