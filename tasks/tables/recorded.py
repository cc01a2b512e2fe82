"""What a table records: architecture -> metrics by fidelity and seed. Data only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ToolError
from vitruvius.spaces.space import Architecture, SearchSpace, Signature
from vitruvius.tasks.task import Metric

Column = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one fidelity records of one architecture; `runs` by seed, the validation alone."""

    value: float
    test: float | None
    train_s: float
    runs: tuple[float, ...] = ()


class Records(Protocol):
    """What is recorded at one fidelity. `Recorded` holds it; others may read it when asked."""

    @property
    def value(self) -> Column: ...
    @property
    def test(self) -> Column: ...
    @property
    def has_runs(self) -> bool: ...
    @property
    def typical_s(self) -> float: ...
    def at(self, row: int) -> Answer: ...
    def lacks(self, row: int) -> bool:
        """Returns whether it is known beforehand that nothing is recorded of an architecture."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Recorded:
    """Columns of one fidelity [N]; `runs` [N, S] holds validation by seed, NaN where missing."""

    value: Column  # mean over seeds
    test: Column  # mean over seeds
    train_s: Column
    runs: NDArray[np.float64]
    missing: NDArray[np.bool_] | None = None  # [N] architectures without a record here

    @property
    def has_runs(self) -> bool:
        """Whether single runs are recorded, so that a seed can draw one."""
        return bool(self.runs.size)

    @property
    def typical_s(self) -> float:
        """Median seconds of a training."""
        return float(np.median(self.train_s[~np.isnan(self.train_s)]))

    def lacks(self, row: int) -> bool:
        """Returns whether nothing is recorded of an architecture."""
        return self.missing is not None and bool(self.missing[row])

    def at(self, row: int) -> Answer:
        """Returns what is recorded of one architecture.

        Raises:
            ToolError: if nothing is, at this fidelity.
        """
        if self.lacks(row):
            raise ToolError("nothing is recorded of this architecture at this fidelity")
        runs = self.runs[row]
        test = float(self.test[row])
        return Answer(
            value=float(self.value[row]),
            test=None if math.isnan(test) else test,
            train_s=float(self.train_s[row]),
            runs=tuple(runs[~np.isnan(runs)].tolist()),
        )


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
    by_epochs: Mapping[int, Records]
    params: NDArray[np.int64] | None = None  # None: not recorded
    flops: NDArray[np.int64] | None = None
    costs: Mapping[str, Column] = field(default_factory=dict)  # further ones, NaN where missing
    signature: Signature | None = None  # of the networks that were trained; None: not known
    figure: str = "the mean over seeds"  # what `Recorded.value` is, in words
    counted: str = "epochs"  # what the keys of `by_epochs` count, in words
