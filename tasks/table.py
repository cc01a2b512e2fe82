"""Tables of finished trainings, and the task that answers from one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cell import Cell
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Constraints, Fidelity, Metric, Task, task_id

Column = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One recorded training. Metrics in percent, `train_s` in simulated seconds."""

    value: float  # on the validation split
    test: float | None
    train_s: float
    params: int
    flops: int


@runtime_checkable
class Tabular(Task, Protocol):
    """A task that knows its answers: nothing is trained for it."""

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        """Returns what is recorded.

        Raises:
            ToolError: if nothing is recorded for the architecture at this fidelity.
        """
        ...


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
    dataset: str
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
        return task_id(
            self.name,
            self.constraints,
            table=self.table.sha256,
            metric=self.table.metric,
            epochs=self.epochs,
            noise=self.noise,
        )

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
            f"{self.name}: accuracies on {self.table.dataset} from {self.table.name}, "
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

    def check_space(self, space: SearchSpace) -> None:
        """Checks that the table knows the space's architectures.

        Raises:
            ConfigError: if it has no row for any of 20 draws.
        """
        rng = np.random.default_rng(0)
        drawn = [space.sample(rng) for _ in range(20)]
        if not any(one in self.table.index or one in self._smallest_of_class for one in drawn):
            raise ConfigError(
                f"the table of {self.table.name} has no row for architectures of space "
                f"{space.name} such as {drawn[0]}; use the space nb201"
            )

    def all_values(self) -> dict[Architecture, tuple[float, float]]:
        """Returns mean validation and test accuracy of every canonical member; for evals only."""
        members = Cell().members()
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
        space = Cell()
        smallest: dict[Architecture, int] = {}
        for architecture, row in self.table.index.items():
            canonical = space.canonical(architecture)
            smallest[canonical] = min(row, smallest.get(canonical, row))
        return smallest
