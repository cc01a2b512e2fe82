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

from vitruvius.evals.arms import Arm, Given
from vitruvius.evals.blind_arms import random_search
from vitruvius.evals.frequency import Allowed, Evolution, keep, ranked_choices
from vitruvius.evals.source_arms import good_of
from vitruvius.spaces.space import Architecture, SearchSpace

WEIGHT = 5  # of a found architecture beside one of the source, when choices are rewritten


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The numbers of one script."""

    choices: int  # per slot
    population: int
    tournament: int
    adapt_at: tuple[int, ...]  # evaluations
    shown: int  # best found architectures that the model sees


NB201 = Protocol(choices=2, population=5, tournament=2, adapt_at=(10, 15), shown=5)
TRANSNAS = Protocol(choices=3, population=10, tournament=5, adapt_at=(20, 30, 40), shown=15)


def lapt(protocol: Protocol, given: Given) -> None:
    """Searches as the script does, beyond its budget too."""
    ranked = ranked_choices(given.space, good_of(given))
    allowed = keep(ranked, protocol.choices)
    evolution = Evolution(
        given.space,
        given.oracle,
        given.rng(),
        population=protocol.population,
        tournament=protocol.tournament,
    )
    best_before, misses = float("-inf"), 0
    while evolution.step(allowed):
        if len(evolution.asked) not in protocol.adapt_at:
            continue
        found = sorted(evolution.asked, key=lambda a: -evolution.asked[a])
        best = evolution.asked[found[0]]
        if best > best_before:
            allowed = _rewritten(given.space, good_of(given), found[: protocol.shown], protocol)
        else:
            misses += 1
            allowed = _others(ranked, protocol.choices, misses)
        best_before = best
    random_search(given.space, given.oracle, given.rng())


def _rewritten(
    space: SearchSpace,
    good: Sequence[Architecture],
    found: Sequence[Architecture],
    protocol: Protocol,
) -> Allowed:
    return keep(ranked_choices(space, [*good, *(list(found) * WEIGHT)]), protocol.choices)


def _others(ranked: Allowed, count: int, misses: int) -> Allowed:
    """Returns other choices that the same principles suggest: the next one for the last."""
    return {
        slot: (*names[: count - 1], names[min(count - 1 + misses, len(names) - 1)])
        for slot, names in ranked.items()
    }


ARMS = (
    Arm(
        name="lapt nb201",
        about="LAPT as published for NAS-Bench-201, counting in the LLM's chair",
        run=partial(lapt, NB201),
        hears=True,
    ),
    Arm(
        name="lapt transnas",
        about="LAPT as published for TransNAS-Bench-101, counting in the LLM's chair",
        run=partial(lapt, TRANSNAS),
        hears=True,
    ),
)
