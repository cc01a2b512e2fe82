"""Arms that buy short trainings first: what a full one costs is the unit of the account."""

from __future__ import annotations

from functools import partial

import numpy as np

from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.searches import run_search
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.transfer.source_hints import NONE
from vitruvius.run.short_first import SHORT_TRAININGS, told_of
from vitruvius.settings import Policy
from vitruvius.spaces.space import Architecture

SHORT_RANDOM = 40


def agent_short_first(given: Given) -> None:
    """Does what `--fidelity-first` does: a run of short trainings, and one that recalls it."""
    short, seed = given.task(fidelity=given.oracle.truth.cheap_fidelity), given.seed
    with Ledger.in_memory() as ledger:
        first = run_search(given.space, short, queries=SHORT_TRAININGS, seed=seed, ledger=ledger)
        run_search(
            given.space,
            given.task(),
            queries=int(given.oracle.queries),
            seed=seed,
            ledger=ledger,
            policy=Policy(principles_from=tuple(told_of((NONE,), first.run))),
        )


def random_short_first(count: int, given: Given) -> None:
    """Trains draws shortly, then in full, the best of the short trainings first."""
    rng = given.rng()
    values: dict[Architecture, float] = {}
    while len(values) < count:
        architecture = given.space.sample(rng)
        values[architecture] = given.oracle.ask(architecture, is_full=False)
    for place in np.argsort([-value for value in values.values()], kind="stable").tolist():
        given.oracle.ask(list(values)[place])
    while True:
        given.oracle.ask(given.space.sample(rng))


ARMS = (
    Arm(
        name="short first",
        about=f"the agent on {SHORT_TRAININGS} short trainings, then on full ones with that source",
        run=agent_short_first,
    ),
    Arm(
        name="random short first",
        about=f"{SHORT_RANDOM} random short trainings, then full ones in their order",
        run=partial(random_short_first, SHORT_RANDOM),
    ),
)
