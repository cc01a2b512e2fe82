"""LAPT as published (Zhou et al. 2024, arXiv:2408.11330), with statistics in the LLM's chair.

Protocol of the released scripts: principles from the source's good architectures narrow every
slot to 2 (or 3) choices, regularized evolution searches there, and the choices are rewritten at
fixed numbers of evaluations. What the script asks of its model is answered by counting: the
scripts show it cells without scores, and of those counts are all there is. Source and target are
separate here, which they are not in the released script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.blind import random_search
from vitruvius.evals.arms.controls import Allowed, Evolution, good_of, keep, ranked_choices
from vitruvius.spaces.space import Architecture, SearchSpace

WEIGHT = 5  # of a found architecture beside one of the source, when choices are rewritten


@dataclass(frozen=True, kw_only=True)
class Script:
    """The numbers of one script."""

    choices: int  # per slot
    population: int
    tournament: int
    adapt_at: tuple[int, ...]  # evaluations
    shown: int  # best found architectures that the model sees


NB201 = Script(choices=2, population=5, tournament=2, adapt_at=(10, 15), shown=5)
TRANSNAS = Script(choices=3, population=10, tournament=5, adapt_at=(20, 30, 40), shown=15)


class Chair(Protocol):
    """Who says which choices of every slot are left."""

    def learn(self, architectures: Sequence[Architecture]) -> Allowed: ...
    def adapt(self, found: Sequence[Architecture]) -> Allowed: ...
    def others(self) -> Allowed: ...


@dataclass(eq=False)
class Counting:
    """The chair taken by counting the cells that a model would be shown."""

    space: SearchSpace
    choices: int
    good: Sequence[Architecture] = ()
    misses: int = 0

    def learn(self, architectures: Sequence[Architecture]) -> Allowed:
        """Returns the most frequent choices of the source's good ones."""
        self.good = architectures
        return keep(self._ranked(), self.choices)

    def adapt(self, found: Sequence[Architecture]) -> Allowed:
        """Returns the most frequent ones, those found here counting more."""
        told = [*self.good, *(list(found) * WEIGHT)]
        return keep(ranked_choices(self.space, told), self.choices)

    def others(self) -> Allowed:
        """Returns other choices that the same principles suggest: the next one for the last."""
        self.misses += 1
        last = self.choices - 1
        return {
            slot: (*names[:last], names[min(last + self.misses, len(names) - 1)])
            for slot, names in self._ranked().items()
        }

    def _ranked(self) -> Allowed:
        return ranked_choices(self.space, self.good)


def counting(script: Script, given: Given) -> None:
    """Searches as the script does, counting in its model's place."""
    lapt(script, Counting(given.space, script.choices), given)


def lapt(script: Script, chair: Chair, given: Given) -> None:
    """Searches as the script does, beyond its budget too."""
    allowed = chair.learn(good_of(given))
    evolution = Evolution(
        given.space,
        given.oracle,
        given.rng(),
        population=script.population,
        tournament=script.tournament,
    )
    best_before = float("-inf")  # the first rewrite follows what was found, whatever it is
    while evolution.step(allowed):
        if len(evolution.asked) not in script.adapt_at:
            continue
        found = sorted(evolution.asked, key=lambda a: -evolution.asked[a])
        best = evolution.asked[found[0]]
        is_better = best > best_before
        allowed = chair.adapt(found[: script.shown]) if is_better else chair.others()
        best_before = best
    random_search(given.space, given.oracle, given.rng())


ARMS = (
    Arm(
        name="lapt nb201",
        about="LAPT as published for NAS-Bench-201, counting in the LLM's chair",
        run=partial(counting, NB201),
        hears=True,
    ),
    Arm(
        name="lapt transnas",
        about="LAPT as published for TransNAS-Bench-101, counting in the LLM's chair",
        run=partial(counting, TRANSNAS),
        hears=True,
    ),
)
