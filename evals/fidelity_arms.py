"""Arms that buy short trainings first: what a full one costs is the unit of the account."""

from __future__ import annotations

from functools import partial

import numpy as np

from vitruvius.evals.arms import Arm, Given
from vitruvius.evals.searches import run_search
from vitruvius.memory.sources import Source
from vitruvius.spaces.space import Architecture

SHORT_AGENT = 25  # short trainings, 1.5 full ones on NAS-Bench-201
SHORT_RANDOM = 40
TRUST = 0.6


def agent_short_first(given: Given) -> None:
    """Searches by short trainings, and then by full ones with the first search as a source."""
    short = given.oracle.truth.cheap_fidelity
    first = run_search(
        given.space, given.task(fidelity=short), queries=SHORT_AGENT, seed=given.seed
    )
    source = Source(
        run_id="short",
        task_name=f"{given.task().name} short",
        space=given.space,
        metric=given.task().metric,
        trials=first.trials,
        trust=TRUST,
    )
    queries = int(given.oracle.queries)
    run_search(given.space, given.task(), queries=queries, seed=given.seed, sources=[source])


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
        about=f"the agent on {SHORT_AGENT} short trainings, then on full ones with that source",
        run=agent_short_first,
    ),
    Arm(
        name="random short first",
        about=f"{SHORT_RANDOM} random short trainings, then full ones in their order",
        run=partial(random_short_first, SHORT_RANDOM),
    ),
)
