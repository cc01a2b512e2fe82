"""Which choices the good architectures of a source hold, and searches among those only."""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence

import numpy as np

from vitruvius.evals.arms.oracle import Oracle
from vitruvius.spaces.space import Architecture, SearchSpace

Allowed = dict[str, tuple[str, ...]]  # slot -> choices, the most frequent first

TRIES = 1000  # for a cell that was not asked yet, as in LAPT's scripts


def ranked_choices(space: SearchSpace, good: Sequence[Architecture]) -> Allowed:
    """Returns every slot's choices by how many of the good hold them.

    Slots and choices are known by name, so that another space's cells count where they can.
    """
    held: dict[str, Counter[str]] = {slot.name: Counter() for slot in space.slots}
    for architecture in good:
        for name, choice in architecture.spec.items():
            if name in held:
                held[name][choice] += 1
    return {
        slot.name: tuple(sorted(slot.names, key=lambda name: -held[slot.name][name]))
        for slot in space.slots
    }


def keep(ranked: Mapping[str, tuple[str, ...]], count: int) -> Allowed:
    """Returns the first choices of every slot."""
    return {slot: names[:count] for slot, names in ranked.items()}


def draw(space: SearchSpace, allowed: Allowed, rng: np.random.Generator) -> Architecture:
    """Returns the canonical form of one uniform draw among what is allowed."""
    spec = {slot: names[rng.integers(len(names))] for slot, names in allowed.items()}
    return space.canonical(Architecture.of(spec))


def search_inside(
    space: SearchSpace, allowed: Allowed, oracle: Oracle, rng: np.random.Generator
) -> None:
    """Asks everything that is allowed, in random order."""
    if math.prod(len(names) for names in allowed.values()) > TRIES:
        for _ in range(TRIES):
            oracle.ask(draw(space, allowed, rng))
        return
    specs = [
        dict(zip(allowed, chosen, strict=True)) for chosen in itertools.product(*allowed.values())
    ]
    for place in rng.permutation(len(specs)).tolist():
        oracle.ask(space.canonical(Architecture.of(specs[place])))


class Evolution:
    """Regularized evolution among allowed choices, on cells as written; one child at a time."""

    def __init__(
        self, space: SearchSpace, oracle: Oracle, rng: np.random.Generator,
        *, population: int, tournament: int,
    ) -> None:  # fmt: skip
        self.space, self.oracle, self.rng = space, oracle, rng
        self.tournament = tournament
        self.alive: deque[tuple[float, dict[str, str]]] = deque(maxlen=population)
        self.asked: dict[Architecture, float] = {}

    def step(self, allowed: Allowed) -> bool:
        """Asks one that was not asked yet; returns whether there was one.

        Raises:
            Spent: of the oracle's queries.
        """
        for _ in range(TRIES):
            spec = self._child(allowed)
            architecture = self.space.canonical(Architecture.of(spec))
            if architecture not in self.asked:
                value = self.oracle.ask(architecture)
                self.asked[architecture] = value
                if np.isfinite(value):
                    self.alive.append((value, spec))
                    return True
        return False

    def _child(self, allowed: Allowed) -> dict[str, str]:
        rng = self.rng
        if len(self.alive) < (self.alive.maxlen or 0):
            return {slot: names[rng.integers(len(names))] for slot, names in allowed.items()}
        rivals = [self.alive[i] for i in rng.choice(len(self.alive), self.tournament, False)]
        spec = dict(max(rivals, key=lambda rival: rival[0])[1])
        slot = list(allowed)[rng.integers(len(allowed))]
        names = allowed[slot]
        return {**spec, slot: names[rng.integers(len(names))]}
