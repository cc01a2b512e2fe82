"""Searches that know nothing beforehand: random, evolution, local search, plain GP-EI, FLOPs.

Each asks an oracle until it is spent. Repeats are free for all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np

from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.gaussian import distances, expected_improvement, posterior, raw_of
from vitruvius.evals.oracle import Oracle
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import known_costs

Search = Callable[[SearchSpace, Oracle, np.random.Generator], None]

POPULATION, TOURNAMENT = 10, 3
FIRST_DRAWS = 5  # of GP-EI
MAX_STEPS = 5000  # bound on free repeats


def random_search(space: SearchSpace, oracle: Oracle, rng: np.random.Generator) -> None:
    """Asks draws of the space's sampler."""
    for _ in range(MAX_STEPS):
        oracle.ask(space.sample(rng))


def regularized_evolution(space: SearchSpace, oracle: Oracle, rng: np.random.Generator) -> None:
    """Mutates the best of a tournament and drops the oldest (Real et al. 2019, algorithm 1)."""
    alive: deque[tuple[float, Architecture]] = deque(maxlen=POPULATION)
    for _ in range(POPULATION):
        architecture = space.sample(rng)
        alive.append((oracle.ask(architecture), architecture))
    for _ in range(MAX_STEPS):
        rivals = [alive[i] for i in rng.choice(len(alive), TOURNAMENT, replace=False)]
        child = space.mutate(max(rivals, key=lambda rival: rival[0])[1], rng)
        alive.append((oracle.ask(child), child))


def local_search(space: SearchSpace, oracle: Oracle, rng: np.random.Generator) -> None:
    """Moves to the first better neighbour, in random order; starts anew where there is none."""
    for _ in range(MAX_STEPS):
        here = space.sample(rng)
        value = oracle.ask(here)
        climbing = True
        while climbing:
            climbing = False
            near = space.neighbours(here)
            for place in rng.permutation(len(near)):
                found = oracle.ask(near[place])
                if found > value:
                    here, value, climbing = near[place], found, True
                    break


def gp_ei(space: SearchSpace, oracle: Oracle, rng: np.random.Generator) -> None:
    """Expected improvement under the plain process, all raw combinations as candidates."""
    raw = raw_of(space)
    far = np.empty((0, len(raw)), dtype=np.float32)
    asked: list[int] = []
    values: list[float] = []
    gain = rng.random(len(raw))
    while np.isfinite(gain).any():
        row = int(np.argmax(gain))
        gain[row] = -np.inf
        value = oracle.ask(raw.architectures[row])
        if not np.isfinite(value):  # what cannot be trained tells nothing
            continue
        asked.append(row)
        values.append(value)
        far = np.vstack([far, distances(raw.choices[[row]], raw.choices)])
        if len(asked) >= FIRST_DRAWS:
            scores = (np.array(values) - np.mean(values)) / (np.std(values) + 1e-9)
            mean, deviation = posterior(far[:, asked], far, scores)
            closed = np.isneginf(gain)
            gain = expected_improvement(mean, deviation, float(scores.max()))
            gain[closed] = -np.inf


def flops_order(given: Given) -> None:
    """Asks the most multiply-adds first: the cheapest proxy there is."""
    task, members = given.task(), given.space.members() or ()
    for architecture in sorted(members, key=lambda a: -known_costs(task, a).get("flops", 0.0)):
        given.oracle.ask(architecture)


BASELINES: dict[str, Search] = {
    "random": random_search,
    "evolution": regularized_evolution,
    "local": local_search,
    "gp-ei": gp_ei,
}


def _run(search: Search, given: Given) -> None:
    search(given.space, given.oracle, given.rng())


ABOUT = {
    "random": "draws of the space's sampler",
    "evolution": f"regularized evolution, population {POPULATION}, tournament {TOURNAMENT}",
    "local": "local search, first better neighbour, restarts",
    "gp-ei": "expected improvement under a plain Gaussian process on raw choices",
}
ARMS = (
    *(
        Arm(name=name, about=ABOUT[name], run=partial(_run, search))
        for name, search in BASELINES.items()
    ),
    Arm(name="flops", about="most FLOPs first", run=flops_order),
)
