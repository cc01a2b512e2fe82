"""Reader of the table of TransNAS-Bench-101's micro space."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.transnas import TransNas, backbone_sizes, from_code, to_code
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.tables.recorded import Column, Recorded, Table
from vitruvius.tasks.task import Metric


@dataclass(frozen=True, kw_only=True)
class TransNasTask:
    """One task of the benchmark: which column judges it, and how its networks are trained."""

    about: str
    column: str
    metric: Metric
    epochs: int
    signature: Signature


_TOP1 = Metric(name="top-1 accuracy", direction="max", unit="%")
_IMAGE = (3, 256, 256)

# Epochs, shapes and outputs are those of the benchmark's training settings.
TASKS = {
    "class_scene": TransNasTask(
        about="scenes of Taskonomy, 47 classes",
        column="top1", metric=_TOP1, epochs=25, signature=Signature(input_shape=_IMAGE, outputs=47),
    ),
    "class_object": TransNasTask(
        about="objects of Taskonomy, 75 classes",
        column="top1", metric=_TOP1, epochs=25, signature=Signature(input_shape=_IMAGE, outputs=75),
    ),
    "room_layout": TransNasTask(
        about="the layout of rooms of Taskonomy, nine numbers",
        column="neg_loss", metric=Metric(name="negative loss", direction="max"),
        epochs=25, signature=Signature(input_shape=_IMAGE, outputs=9),
    ),
    "jigsaw": TransNasTask(
        about="the order of nine tiles of an image of Taskonomy, 1,000 permutations",
        column="top1", metric=_TOP1, epochs=10,
        signature=Signature(input_shape=(3, 64, 64), outputs=1000),
    ),
    "autoencoder": TransNasTask(
        about="images of Taskonomy, given back from a code",
        column="ssim", metric=Metric(name="SSIM", direction="max"),
        epochs=30, signature=Signature(input_shape=_IMAGE, outputs=512),
    ),
}  # fmt: skip


def read_transnas(path: Path, metric: str) -> Table:
    """Returns the TransNAS-Bench-101 micro table of one task (`class_scene`, ..., `autoencoder`).

    One training is recorded for each architecture. Validation and test are each the best over its
    epochs, so the test value is a little above that of the epoch that validation would choose.
    Trainings were seeded alike: 1,102 of the 4,096 rows repeat those of an equal cell to the digit.
    The table has no sizes: parameters and FLOPs are those of the backbone on one 256 x 256 image,
    counted here, without the task's decoder.

    Raises:
        ConfigError: if the file cannot be read or lacks a column.
    """
    task = TASKS[metric]
    raw = _columns(path, metric, task)
    codes: list[str] = raw["arch"]
    index = _index(codes, path)
    digits = [[int(digit) for digit in to_code(cell)[9:].replace("_", "")] for cell in index]
    params, flops = backbone_sizes(np.array(digits, dtype=np.int64).reshape(-1, 6))
    recorded = Recorded(
        value=raw["valid"], test=raw["test"], train_s=raw["seconds"], runs=np.empty((len(codes), 0))
    )
    return Table(
        name="TransNAS-Bench-101 micro",
        task=metric,
        metric=task.metric,
        dataset=task.about,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        space=TransNas(),
        index=index,
        by_epochs={task.epochs: recorded},
        params=params,
        flops=flops,
        signature=task.signature,
        figure="the best over epochs of one training",
    )


def _columns(path: Path, metric: str, task: TransNasTask) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet

    named = {
        "valid": f"{metric}.valid_{task.column}",
        "test": f"{metric}.test_{task.column}",
        "seconds": f"{metric}.train_seconds",
    }
    try:
        present = set(pyarrow.parquet.read_schema(path).names)
        missing = [name for name in ("arch", *named.values()) if name not in present]
        if missing:
            raise ConfigError(f"table {path} lacks the columns {', '.join(missing)}")
        table = pyarrow.parquet.read_table(path, columns=["arch", *named.values()])
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
    columns = {key: _numbers(table[name].to_numpy()) for key, name in named.items()}
    if any(np.isnan(column).any() for column in columns.values()):
        raise ConfigError(f"{path} has empty cells in the columns of {metric}")
    return {"arch": table["arch"].to_pylist(), **columns}


def _index(codes: list[str], path: Path) -> dict[Architecture, int]:
    """Returns the rows by architecture, as written in `64-41414-a_bc_def`."""
    index: dict[Architecture, int] = {}
    for row, code in enumerate(codes):
        try:
            cell = from_code(code or "")
        except ToolError as error:
            raise ConfigError(f"row {row} of {path} is no TransNAS micro cell: {error}") from error
        if index.setdefault(cell, row) != row:
            raise ConfigError(f"row {row} of {path} repeats the cell of row {index[cell]}: {code}")
    return index


def _numbers(column: Any) -> Column:
    """Returns a column as float64, rid of the noise of its float32 digits."""
    numbers: Column = np.asarray(column, dtype=np.float64)
    return numbers.round(6)
