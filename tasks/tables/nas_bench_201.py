"""Reader of the NAS-Bench-201 table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.spaces.cells.cell import SLOTS, Cell
from vitruvius.spaces.cells.cell_classes import OPERATIONS
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.metrics import METRICS
from vitruvius.tasks.tables.recorded import Column, Recorded, Table

# Five cells at each of 16, 32 and 64 channels; a convolution has its weights and a batch norm.
_PARAMS = {"nor_conv_1x1": 28_000, "nor_conv_3x3": 243_040}
_PARAMS_BESIDES = 73_306  # stem, reductions and the classifier of CIFAR-10
_FLOPS = {"nor_conv_1x1": 3_932_160, "nor_conv_3x3": 35_389_440}  # of images of 32 x 32
_FLOPS_BESIDES = {"c10": 7_783_050, "c100": 7_788_900, "in16": 1_953_400}

DATA_SETS = {
    "c10": "CIFAR-10",
    "c100": "CIFAR-100",
    "in16": "ImageNet16-120",
}
# What a network for each dataset takes and gives; the classifier's extra parameters over CIFAR-10.
SIGNATURES = {
    "c10": Signature(input_shape=(3, 32, 32), outputs=10),
    "c100": Signature(input_shape=(3, 32, 32), outputs=100),
    "in16": Signature(input_shape=(3, 16, 16), outputs=120),
}
EXTRA_PARAMS = {"c10": 0, "c100": 5_850, "in16": 7_150}
_OPERATION = re.compile(r"(\w+)~(\d)")


def read_nas_bench_201(path: Path, metric: str) -> Table:
    """Returns the NAS-Bench-201 table of one dataset (`c10`, `c100`, `in16`).

    Validation and test are the columns `{metric}_val_*` and `{metric}_test_*`, means over seeds.
    For c10 both are the benchmark's own: networks trained on 25k images and judged on the other
    25k, and networks trained on 50k and judged on the test images. For c100 and in16 one training
    gives both, and single runs are recorded only as `valtest`, accuracy on the validation and the
    equally many test images together. So that no level of a test accuracy enters a search, a run's
    validation value is `valtest + (val - test) / 2`, which gives back `val` where `valtest`
    is its mean with `test`. There are two or three runs at 200 epochs, none at 12; in 2,339 rows of
    c10 the mean column leaves one of the recorded runs out. Parameters are the derived ones (150
    recorded ones are wrong); FLOPs count as `tools.passes.flops`.

    Raises:
        ConfigError: if the file cannot be read or lacks a column.
    """
    raw = _columns(path, metric)
    index = _index(raw["arch"], path)
    by_epochs = {}
    for epochs in (200, 12):
        value = _numbers(raw[f"{metric}_val_{epochs}"])
        test = _numbers(raw[f"{metric}_test_{epochs}"])
        seconds = _numbers(raw[_seconds_column(metric)]) * epochs / 200
        runs = _runs(raw, metric, value, test) if epochs == 200 else np.empty((len(value), 0))
        for column in (value, test, seconds):
            if np.isnan(column).any():
                raise ConfigError(f"{path} has empty cells in the columns of {metric}")
        by_epochs[epochs] = Recorded(value=value, test=test, train_s=seconds, runs=runs)
    params_m = _numbers(raw["c10_params_m_derived"], digits=6)
    flops_m = _numbers(raw[f"{metric}_flops_m"], digits=6)
    return Table(
        name="NAS-Bench-201",
        task=metric,
        metric=METRICS["accuracy"].metric,
        dataset=DATA_SETS[metric],
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        space=Cell(),
        index=index,
        by_epochs=by_epochs,
        params=np.rint(params_m * 1e6).astype(np.int64) + EXTRA_PARAMS[metric],
        flops=np.rint(flops_m * 1e6).astype(np.int64),
        signature=SIGNATURES[metric],
    )


def _seconds_column(metric: str) -> str:
    return "c10_25k_train_s_200" if metric == "c10" else f"{metric}_train_s_200"


def _run_columns(metric: str) -> list[str]:
    kind = "val" if metric == "c10" else "valtest"
    return [f"{metric}_{kind}_200_run{run}" for run in (1, 2, 3)]


def _columns(path: Path, metric: str) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet

    wanted = ["arch", "c10_params_m_derived", f"{metric}_flops_m", _seconds_column(metric)]
    wanted += [f"{metric}_{part}_{n}" for part in ("val", "test") for n in (12, 200)]
    wanted += _run_columns(metric)
    try:
        present = set(pyarrow.parquet.read_schema(path).names)
        missing = [name for name in wanted if name not in present]
        if missing:
            raise ConfigError(f"table {path} lacks the columns {', '.join(missing)}")
        table = pyarrow.parquet.read_table(path, columns=[*wanted, *(present & {"arch_index"})])
        if "arch_index" in present:  # rows are numbered as the benchmark numbers them
            table = table.sort_by("arch_index")
        columns = {name: table[name].to_numpy() for name in wanted if name != "arch"}
        return {"arch": table["arch"].to_pylist(), **columns}
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error


def _index(texts: list[str], path: Path) -> dict[Architecture, int]:
    """Returns the rows by architecture, as written in `|op~0|+|op~0|op~1|+|...|`."""
    index: dict[Architecture, int] = {}
    edges = [slot.name for slot in SLOTS]
    for row, text in enumerate(texts):
        parts = _OPERATION.findall(text or "")
        known = all(operation in OPERATIONS for operation, _ in parts)
        if not known or "".join(source for _, source in parts) != "001012":
            raise ConfigError(f"row {row} of {path} is not a NAS-Bench-201 cell: {text!r}")
        spec = {edge: operation for edge, (operation, _) in zip(edges, parts, strict=True)}
        index.setdefault(Architecture.of(spec), row)
    return index


def _runs(raw: dict[str, Any], metric: str, value: Column, test: Column) -> NDArray[np.float64]:
    runs = np.stack([_numbers(raw[name]) for name in _run_columns(metric)], axis=1)
    return runs if metric == "c10" else runs + ((value - test) / 2)[:, None]


def _numbers(column: Any, digits: int = 4) -> Column:
    """Returns a column as float64, rid of the noise of its float32 digits."""
    numbers: Column = np.asarray(column, dtype=np.float64)
    return numbers.round(digits)


def published_costs(
    metric: str, cells: Sequence[Architecture]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the parameters and the FLOPs of networks for a data set, `c10`, `c100` or `in16`.

    Every operation that is written counts, whether or not it reaches the output, as in the
    benchmark. The counts agree with the columns of all 15,625 rows to the last digit.
    """
    params = [_PARAMS_BESIDES + EXTRA_PARAMS[metric] + _total(cell, _PARAMS) for cell in cells]
    quarter = 4 if metric == "in16" else 1  # its images are 16 x 16
    flops = [_FLOPS_BESIDES[metric] + _total(cell, _FLOPS) // quarter for cell in cells]
    return np.array(params, dtype=np.int64), np.array(flops, dtype=np.int64)


def _total(cell: Architecture, costs: dict[str, int]) -> int:
    return sum(costs.get(operation, 0) for operation in cell.spec.values())
