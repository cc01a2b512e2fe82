"""An arm: a search that can be given the same budget and seeds as any other.

It is a function of what it is given. It asks the oracle until that says that the budget is
spent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.evals.oracle import Oracle, PaidTask
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Constraints, Fidelity


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """All that an arm may use.

    `good` are the best architectures of each source, best first: all of one that holds the best
    only, else its best tenth, at most 50.
    """

    space: SearchSpace
    oracle: Oracle
    seed: int
    sources: Sequence[Source] = ()
    good: Sequence[Sequence[Architecture]] = ()
    cuts: Sequence[Rule] = ()

    def task(
        self,
        *,
        tells_costs: bool = True,
        fidelity: Fidelity | None = None,
        constraints: Constraints | None = None,
    ) -> PaidTask:
        """Returns the target as a task whose answers are paid."""
        return PaidTask(
            self.oracle, tells_costs=tells_costs, fidelity=fidelity, constraints=constraints
        )

    def rng(self) -> np.random.Generator:
        """Returns the generator of the seed, the same for every arm."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to search. `hears` says that sources and cuts change it; else it is run without."""

    name: str
    about: str
    run: Callable[[Given], None]
    hears: bool = False
    most_seeds: int | None = None  # for one that is too slow for more
    needs_model: bool = False  # left out of a protocol where the settings name none
