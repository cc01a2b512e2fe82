"""The task that answers from a table of finished trainings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.built_in import BUILT_IN
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.space import Architecture, SearchSpace, Signature
from vitruvius.tasks.tables.recorded import Column, Records, Table
from vitruvius.tasks.task import Constraints, Fidelity, Metric, Task, known_costs, task_id

ROWS_CHECKED = 50  # of a table, to see whether they are of a space


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One recorded training: metrics in the table's own unit, `train_s` in simulated seconds."""

    value: float  # on the validation split
    test: float | None
    train_s: float
    params: int | None = None  # None: not recorded
    flops: int | None = None


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
        if self.noise and not self._recorded(self.fidelity.epochs).has_runs:
            single = [str(n) for n, recorded in self.table.by_epochs.items() if recorded.has_runs]
            other = f" or epochs={single[0]}" if single else ""
            raise ConfigError(
                f"the table records no single runs at {self.fidelity.epochs} epochs, so there is "
                f"no noise to draw; use noise=false{other}"
            )
        for name in self.constraints.limits:
            if name not in self.cost_names:
                raise ConfigError(
                    f"the table records no {name} to limit; it records "
                    f"{', '.join(self.cost_names) or 'no costs'}"
                )

    @property
    def name(self) -> str:
        return self.table.task

    @cached_property
    def id(self) -> str:
        capped = {  # by content: two devices' latencies are two tasks
            name: hashlib.sha256(self.table.costs[name].tobytes()).hexdigest()
            for name, _ in self.constraints.caps
        }
        return task_id(
            self.name,
            self.constraints,
            table=self.table.sha256,
            metric=self.table.task,
            epochs=self.fidelity.epochs,
            noise=self.noise,
            **({"capped": capped} if capped else {}),
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
    def signature(self) -> Signature | None:
        """What a network for the dataset behind the table takes in and gives out; None: unknown."""
        return self.table.signature

    def describe(self) -> str:
        answer = "one recorded run, drawn by the seed" if self.noise else self.table.figure
        measure, better = self.metric, "higher" if self.metric.direction == "max" else "lower"
        unit = f" in {measure.unit}" if measure.unit else ""
        return (
            f"{self.name}: {measure.name}{unit} on {self.table.dataset} from {self.table.name}, "
            f"{len(self.table.index):,} recorded architectures. Nothing is trained: the score is "
            f"the recorded validation {measure.name}{self._length()} ({answer}), {better} is "
            f"better, and seconds are those of the recorded training."
            f"{self.constraints.words()}"
        )

    def _length(self) -> str:
        """Returns how long was trained, in words; nothing where the table does not tell."""
        is_told = any(epochs > 1 for epochs in self.table.by_epochs)
        return f" after {self.fidelity.epochs} {self.table.counted}" if is_told else ""

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        """Returns what the table records for an architecture at a fidelity.

        Raises:
            ToolError: if the table has no such row or fidelity.
        """
        if fidelity.data != 1.0:
            raise ToolError(f"the table holds trainings on all data only, not {fidelity.key}")
        recorded = self._recorded(fidelity.epochs)
        row = self._row(architecture)
        try:
            answer = recorded.at(row)
        except ToolError as error:
            raise ToolError(f"{error}: {architecture}, {fidelity.key}") from None
        drawn = answer.runs[seed % len(answer.runs)] if self.noise and answer.runs else answer.value
        params, flops = self.table.params, self.table.flops
        return TableRow(
            value=drawn,
            test=answer.test,
            train_s=answer.train_s,
            params=None if params is None else int(params[row]),
            flops=None if flops is None else int(flops[row]),
        )

    def has(self, architecture: Architecture) -> bool:
        """Returns whether the task has an answer for the architecture, or for its class."""
        row = self._known_row(architecture)
        return row is not None and not self._recorded(self.fidelity.epochs).lacks(row)

    def recorded(self) -> list[Architecture]:
        """Returns the architectures as written that the task has an answer for."""
        return [architecture for architecture in self.table.index if self.has(architecture)]

    def costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Returns params, FLOPs, latency and capped costs, as far as they are recorded.

        A free look-up: it tells nothing of how good the architecture is.
        """
        row = self._known_row(architecture)
        if row is None:
            return None
        found = {name: float(column[row]) for name, column in self._cost_columns.items()}
        return {name: cost for name, cost in found.items() if not math.isnan(cost)}

    @property
    def cost_names(self) -> tuple[str, ...]:
        """Which costs the table records."""
        return tuple(self._cost_columns)

    @cached_property
    def _cost_columns(self) -> dict[str, NDArray[Any]]:
        both = {"params": self.table.params, "flops": self.table.flops}
        return {n: c for n, c in both.items() if c is not None} | dict(self.table.costs)

    @property
    def fidelities(self) -> Mapping[Fidelity, float]:
        """The recorded fidelities and the median seconds of a training at each, cheapest first."""
        seconds = {Fidelity(epochs=n): r.typical_s for n, r in self.table.by_epochs.items()}
        return dict(sorted(seconds.items(), key=lambda item: (item[1], item[0].epochs)))

    def check_space(self, space: SearchSpace) -> None:
        """Checks that the recorded architectures are the space's, or some of a pool's are.

        Raises:
            ConfigError: says which space to use.
        """
        if space == self.table.space:
            return
        if isinstance(space, Pool):
            self.check_space(space.space)
            if any(map(self.has, space.members())):
                return
        elif space.name == self.table.space.name or space.name not in BUILT_IN:
            every = list(self.table.index)
            rows = every[:: max(1, len(every) // ROWS_CHECKED)]
            if all(_is_legal(space, row) for row in rows):
                return
        drawn = space.sample(np.random.default_rng(0))
        raise ConfigError(
            f"the table of {self.table.name} has no row for architectures of space "
            f"{space.name} such as {drawn}; use the space "
            f"{self.table.space.ref or self.table.space.name}"
        )

    def all_values(self) -> dict[Architecture, tuple[float, float]]:
        """Returns validation and test value of every recorded canonical member; for evals only."""
        rows = {member: self._known_row(member) for member in self._members()}
        recorded = self._recorded(self.fidelity.epochs)
        return {
            member: (float(recorded.value[row]), float(recorded.test[row]))
            for member, row in rows.items()
            if row is not None
        }

    def _members(self) -> Iterable[Architecture]:
        return self.table.space.members() or self._smallest_of_class

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
        recorded = sign * values[~np.isnan(values)]
        rank = top_rank(len(recorded), share)
        threshold = np.sort(recorded)[-rank]
        answers = sign * values[self._answering_rows]
        answers = answers[~np.isnan(answers)]
        if answers.max() < threshold:
            threshold = np.sort(answers)[-rank]
        return float(sign * threshold)

    def _recorded(self, epochs: int) -> Records:
        if epochs not in self.table.by_epochs:
            known = ", ".join(str(n) for n in self.table.by_epochs)
            raise ToolError(f"the table holds trainings of {known} epochs, not {epochs}")
        return self.table.by_epochs[epochs]

    def _row(self, architecture: Architecture) -> int:
        row = self._known_row(architecture)
        if row is None:
            raise ToolError(f"the table has no row for {architecture}")
        return row

    def _known_row(self, architecture: Architecture) -> int | None:
        row = self.table.index.get(architecture)
        return self._smallest_of_class.get(architecture) if row is None else row

    @cached_property
    def _answering_rows(self) -> NDArray[np.int64]:
        """The row that answers for the class of each recorded architecture."""
        canonical = self.table.space.canonical
        rows = (self._known_row(canonical(one)) for one in self.table.index)
        return np.array([row for row in rows if row is not None])

    @cached_property
    def _smallest_of_class(self) -> dict[Architecture, int]:
        """Canonical architecture -> smallest index of its class; built on the first gap only."""
        smallest: dict[Architecture, int] = {}
        for architecture, row in self.table.index.items():
            canonical = self.table.space.canonical(architecture)
            smallest[canonical] = min(row, smallest.get(canonical, row))
        return smallest


def broken_limit(task: Tabular, architecture: Architecture, row: TableRow) -> str | None:
    """Returns the sentence that says which of the task's limits an architecture breaks, or None."""
    costs = {**known_costs(task, architecture), "params": row.params, "flops": row.flops}
    return task.constraints.violation(**costs)


def _is_legal(space: SearchSpace, architecture: Architecture) -> bool:
    try:
        space.parse(architecture.spec)
    except ToolError:
        return False
    return True


def top_rank(rows: int, share: float = 0.001) -> int:
    """Returns the rank, best first, of the last row among the best `share`: rounded, at least 1.

    Example:
        >>> [top_rank(rows) for rows in (15_625, 4_096, 700, 1)]
        [16, 4, 1, 1]
    """
    return max(1, math.floor(share * rows + 0.5))
