"""A table as something to search: values asked one by one, and what an outsider knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.table import TabularTask


class Spent(Exception):
    """The queries are used up."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """Validation and test value of every canonical architecture; more is better."""

    space: SearchSpace
    task: TabularTask
    values: dict[Architecture, tuple[float, float]]
    threshold: float  # validation value of the best 0.1 % of raw rows
    best: float  # validation value of the best raw row

    @classmethod
    def of(cls, space: SearchSpace, task: TabularTask) -> Truth:
        """Returns what the table says of the members of the space."""
        return cls(
            space=space,
            task=task,
            values=task.all_values(),
            threshold=task.top_threshold(),
            best=float(np.max(task.raw_rows()[0])),
        )


@dataclass(eq=False)
class Oracle:
    """Answers up to `queries` different architectures; a repeated question is free."""

    truth: Truth
    queries: int
    asked: dict[Architecture, float] = field(default_factory=dict)

    def ask(self, architecture: Architecture) -> float:
        """Returns the validation value.

        Raises:
            Spent: if this would be one architecture too many.
        """
        if architecture not in self.asked:
            if len(self.asked) >= self.queries:
                raise Spent
            self.asked[architecture] = self.truth.values[architecture][0]
        return self.asked[architecture]
