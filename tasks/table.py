"""Tables of finished trainings, and the task that answers from one."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError, ToolError

from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import EVALUATOR_VERSION, Constraints, Fidelity, Metric

Column = NDArray[np.float64]

METRICS = {
    "c10": "CIFAR-10",
    "c100": "CIFAR-100",
    "in16": "ImageNet16-120",
}
# What a network for each dataset takes and gives; the classifier's extra parameters over CIFAR-10.
_SHAPES = {"c10": ((3, 32, 32), 10), "c100": ((3, 32, 32), 100), "in16": ((3, 16, 16), 120)}
_EXTRA_PARAMS = {"c10": 0, "c100": 5_850, "in16": 7_150}
_EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
_EDGE = re.compile(r"(\w+)~(\d)")


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One recorded training. Metrics in percent, `train_s` in simulated seconds."""

    value: float  # on the validation split
    test: float | None
    train_s: float
    params: int
    flops: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """Columns of one fidelity [N]; `runs` [N, S] holds validation by seed, NaN where missing."""

    value: Column  # mean over seeds
    test: Column  # mean over seeds
    train_s: Column
    runs: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Architecture -> metrics by fidelity and seed. Data only: it knows no rule of search.

    `index` names each recorded architecture as it was written, not in canonical form.
    """

    name: str
    metric: str
    sha256: str
    index: Mapping[Architecture, int]
    by_epochs: Mapping[int, Recorded]
    params: NDArray[np.int64]
    flops: NDArray[np.int64]
    input_shape: tuple[int, ...]
    outputs: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularTask:
    """A task that answers from a table instead of training.

    A query returns the mean over seeds. With `noise`, the request's seed picks one of the
    recorded runs (seed modulo their number). A class answers with the row of its canonical member,
    or, where the table lacks that row, of its member with the smallest index.
    """

    table: Table
    ref: str
    epochs: int = 200
    noise: bool = False
    constraints: Constraints = field(default_factory=Constraints)

    def __post_init__(self) -> None:
        if self.noise and not self._recorded(self.epochs).runs.size:
            raise ConfigError(
                f"the table records no single runs at {self.epochs} epochs, so there is no noise "
                "to draw; use noise=false or epochs=200"
            )

    @property
    def name(self) -> str:
        return self.table.metric

    @property
    def id(self) -> str:
        parts = {
            "table": self.table.sha256,
            "metric": self.table.metric,
            "epochs": self.epochs,
            "noise": self.noise,
            "constraints": asdict(self.constraints),
            "evaluator": EVALUATOR_VERSION,
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"

    @property
    def metric(self) -> Metric:
        return Metric(name="accuracy", direction="max", unit="%")

    @property
    def fidelity(self) -> Fidelity:
        return Fidelity(epochs=self.epochs)

    @property
    def is_noisy(self) -> bool:
        return self.noise

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example of the dataset behind the table."""
        return self.table.input_shape

    @property
    def outputs(self) -> int:
        """Number of classes of the dataset behind the table."""
        return self.table.outputs

    def describe(self) -> str:
        answer = "one recorded run, drawn by the seed" if self.noise else "the mean over seeds"
        return (
            f"{self.name}: {METRICS.get(self.name, self.name)} accuracies of {self.table.name}, "
            f"{len(self.table.index):,} recorded architectures. Nothing is trained: the score is "
            f"the recorded validation accuracy in percent after {self.epochs} epochs ({answer}), "
            f"and seconds are those of the recorded training.{self.constraints.words()}"
        )

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        """Returns what the table records for an architecture at a fidelity.

        Raises:
            ToolError: if the table has no such row or fidelity.
        """
        if fidelity.data != 1.0:
            raise ToolError(f"the table holds trainings on all data only, not {fidelity.key}")
        recorded = self._recorded(fidelity.epochs)
        row = self._row(architecture)
        value = float(recorded.value[row])
        if self.noise:
            runs = recorded.runs[row][~np.isnan(recorded.runs[row])]
            value = float(runs[seed % len(runs)]) if len(runs) else value
        return TableRow(
            value=value,
            test=float(recorded.test[row]),
            train_s=float(recorded.train_s[row]),
            params=int(self.table.params[row]),
            flops=int(self.table.flops[row]),
        )

    def all_values(self) -> dict[Architecture, tuple[float, float]]:
        """Returns mean validation and test accuracy of every canonical member; for evals only."""
        members = load_space("nb201").members() or ()
        recorded = self._recorded(self.epochs)
        rows = [self._row(member) for member in members]
        return {
            member: (float(recorded.value[row]), float(recorded.test[row]))
            for member, row in zip(members, rows, strict=True)
        }

    def raw_rows(self) -> tuple[Column, Column]:
        """Returns mean validation and test accuracy of every row as recorded; for evals only."""
        recorded = self._recorded(self.epochs)
        return recorded.value, recorded.test

    def top_threshold(self, share: float = 0.001) -> float:
        """Returns the validation accuracy that puts an architecture among the best `share`.

        That is the value of the raw row at rank ceil(share * rows): of 15,625, the 16th best. A
        class is a hit if the row that answers for it reaches it.
        """
        values = np.sort(self.raw_rows()[0])[::-1]
        return float(values[math.ceil(share * len(values)) - 1])

    def _recorded(self, epochs: int) -> Recorded:
        if epochs not in self.table.by_epochs:
            known = ", ".join(str(n) for n in self.table.by_epochs)
            raise ToolError(f"the table holds trainings of {known} epochs, not {epochs}")
        return self.table.by_epochs[epochs]

    def _row(self, architecture: Architecture) -> int:
        row = self.table.index.get(architecture)
        if row is None:
            row = self._smallest_of_class.get(architecture)
        if row is None:
            raise ToolError(f"the table has no row for {architecture}")
        return row

    @cached_property
    def _smallest_of_class(self) -> dict[Architecture, int]:
        """Canonical architecture -> smallest index of its class; built on the first gap only."""
        space = load_space("nb201")
        smallest: dict[Architecture, int] = {}
        for architecture, row in self.table.index.items():
            try:
                canonical = space.canonical(architecture)
            except (KeyError, ToolError):
                return {}
            smallest[canonical] = min(row, smallest.get(canonical, row))
        return smallest


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
    recorded ones are wrong); FLOPs count as `tools.flops`.

    Raises:
        ConfigError: if the file cannot be read or lacks a column.
    """
    raw = _columns(path, metric)
    index = _index(raw["arch"], path)
    by_epochs = {}
    for epochs in (200, 12):
        value = np.asarray(raw[f"{metric}_val_{epochs}"], dtype=np.float64)
        test = np.asarray(raw[f"{metric}_test_{epochs}"], dtype=np.float64)
        seconds = np.asarray(raw[_seconds_column(metric)], dtype=np.float64) * epochs / 200
        runs = _runs(raw, metric, value, test) if epochs == 200 else np.empty((len(value), 0))
        for column in (value, test, seconds):
            if np.isnan(column).any():
                raise ConfigError(f"{path} has empty cells in the columns of {metric}")
        by_epochs[epochs] = Recorded(value=value, test=test, train_s=seconds, runs=runs)
    shape, outputs = _SHAPES[metric]
    millions = np.asarray(raw["c10_params_m_derived"], dtype=np.float64)
    return Table(
        name="NAS-Bench-201",
        metric=metric,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        index=index,
        by_epochs=by_epochs,
        params=np.rint(millions * 1e6).astype(np.int64) + _EXTRA_PARAMS[metric],
        flops=np.rint(np.asarray(raw[f"{metric}_flops_m"]) * 1e6).astype(np.int64),
        input_shape=shape,
        outputs=outputs,
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
    if not path.is_file():
        raise ConfigError(f"there is no table at {path}: expected nas_bench_201.parquet")
    try:
        present = set(pyarrow.parquet.read_schema(path).names)
        missing = [name for name in wanted if name not in present]
        if missing:
            raise ConfigError(f"table {path} lacks the columns {', '.join(missing)}")
        table = pyarrow.parquet.read_table(path, columns=wanted)
        columns = {name: table[name].to_numpy() for name in wanted if name != "arch"}
        return {"arch": table["arch"].to_pylist(), **columns}
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error


def _index(texts: list[str], path: Path) -> dict[Architecture, int]:
    """Returns the rows by architecture, as written in `|op~0|+|op~0|op~1|+|...|`."""
    index: dict[Architecture, int] = {}
    for row, text in enumerate(texts):
        parts = _EDGE.findall(text or "")
        if "".join(source for _, source in parts) != "001012":
            raise ConfigError(f"row {row} of {path} is not a NAS-Bench-201 cell: {text!r}")
        spec = {edge: operation for edge, (operation, _) in zip(_EDGES, parts, strict=True)}
        index.setdefault(Architecture.of(spec), row)
    return index


def _runs(raw: dict[str, Any], metric: str, value: Column, test: Column) -> NDArray[np.float64]:
    runs = np.stack([np.asarray(raw[c], dtype=np.float64) for c in _run_columns(metric)], axis=1)
    return runs if metric == "c10" else runs + ((value - test) / 2)[:, None]
