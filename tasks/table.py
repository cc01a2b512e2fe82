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
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Constraints, Fidelity, Metric, Task, task_id

Column = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One recorded training: metrics in the table's own unit, `train_s` in simulated seconds."""

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

    `index` names each recorded architecture as it was written, not in canonical form; which
    of them compute the same is what `space` says, whatever its skeleton.
    """

    name: str
    task: str  # which of the file's tasks: c10, jigsaw
    metric: Metric
    dataset: str
    sha256: str
    space: SearchSpace
    index: Mapping[Architecture, int]
    by_epochs: Mapping[int, Recorded]
    params: NDArray[np.int64]
    flops: NDArray[np.int64]
    input_shape: tuple[int, ...]
    outputs: int
    figure: str = "the mean over seeds"  # what `Recorded.value` is, in words


@dataclass(frozen=True, kw_only=True, eq=False)
class TabularTask:
    """A task that answers from a table instead of training.

    A query returns the recorded figure, a mean over seeds where there are several. With `noise`,
    the request's seed picks one of the recorded runs (seed modulo their number). A class answers
    with the row of its canonical member, or, where the table lacks that row, of its member with
    the smallest index.
    """

    table: Table
    ref: str
    epochs: int | None = None  # None: the longest trainings
    noise: bool = False
    constraints: Constraints = field(default_factory=Constraints)

    def __post_init__(self) -> None:
        if self.noise and not self._recorded(self.fidelity.epochs).runs.size:
            single = [str(n) for n, recorded in self.table.by_epochs.items() if recorded.runs.size]
            other = f" or epochs={single[0]}" if single else ""
            raise ConfigError(
                f"the table records no single runs at {self.fidelity.epochs} epochs, so there is "
                f"no noise to draw; use noise=false{other}"
            )

    @property
    def name(self) -> str:
        return self.table.task

    @property
    def id(self) -> str:
        return task_id(
            self.name,
            self.constraints,
            table=self.table.sha256,
            metric=self.table.task,
            epochs=self.fidelity.epochs,
            noise=self.noise,
        )

    @property
    def metric(self) -> Metric:
        return self.table.metric

    @property
    def fidelity(self) -> Fidelity:
        return Fidelity(epochs=self.epochs or max(self.table.by_epochs))

    @property
    def is_noisy(self) -> bool:
        return self.noise

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example of the dataset behind the table."""
        return self.table.input_shape

    @property
    def outputs(self) -> int:
        """Number of outputs of a network for the dataset behind the table."""
        return self.table.outputs

    def describe(self) -> str:
        answer = "one recorded run, drawn by the seed" if self.noise else self.table.figure
        measure, better = self.metric, "higher" if self.metric.direction == "max" else "lower"
        unit = f" in {measure.unit}" if measure.unit else ""
        return (
            f"{self.name}: {measure.name}{unit} on {self.table.dataset} from {self.table.name}, "
            f"{len(self.table.index):,} recorded architectures. Nothing is trained: the score is "
            f"the recorded validation {measure.name} after {self.fidelity.epochs} epochs "
            f"({answer}), {better} is better, and seconds are those of the recorded training."
            f"{self.constraints.words()}"
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
                f"{space.name} such as {drawn[0]}; use the space "
                f"{self.table.space.name}"
            )

    def all_values(self) -> dict[Architecture, tuple[float, float]]:
        """Returns validation and test value of every recorded canonical member; for evals only."""
        members = self.table.space.members() or tuple(self._smallest_of_class)
        recorded = self._recorded(self.fidelity.epochs)
        rows = [self._row(member) for member in members]
        return {
            member: (float(recorded.value[row]), float(recorded.test[row]))
            for member, row in zip(members, rows, strict=True)
        }

    def raw_rows(self) -> tuple[Column, Column]:
        """Returns validation and test value of every row as recorded; for evals only."""
        recorded = self._recorded(self.fidelity.epochs)
        return recorded.value, recorded.test

    def top_threshold(self, share: float = 0.001) -> float:
        """Returns the validation value that puts an architecture among the best `share`.

        That is the value of the raw row at rank `top_rank`, best first in the metric's direction. A
        class is a hit if the row that answers for it is at least as good. Where none is, as the
        best rows of single trainings may all be lucky twins of others, each row counts with the
        value that answers for it (TransNAS-Bench-101: jigsaw and autoencoder).
        """
        sign, values = self.metric.sign, self.raw_rows()[0]
        rank = top_rank(len(values), share)
        threshold = np.sort(sign * values)[-rank]
        answers = sign * values[self._answering_rows]
        if answers.max() < threshold:
            threshold = np.sort(answers)[-rank]
        return float(sign * threshold)

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
    def _answering_rows(self) -> NDArray[np.int64]:
        """The row that answers for the class of each recorded architecture."""
        canonical = self.table.space.canonical
        return np.array([self._row(canonical(one)) for one in self.table.index])

    @cached_property
    def _smallest_of_class(self) -> dict[Architecture, int]:
        """Canonical architecture -> smallest index of its class; built on the first gap only."""
        smallest: dict[Architecture, int] = {}
        for architecture, row in self.table.index.items():
            canonical = self.table.space.canonical(architecture)
            smallest[canonical] = min(row, smallest.get(canonical, row))
        return smallest


def top_rank(rows: int, share: float = 0.001) -> int:
    """Returns the rank, best first, of the last row among the best `share`: rounded, at least 1.

    Example:
        >>> [top_rank(rows) for rows in (15_625, 4_096, 700, 1)]
        [16, 4, 1, 1]
    """
    return max(1, math.floor(share * rows + 0.5))
