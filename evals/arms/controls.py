"""Controls that hear sources and have no principles: frequency, majority, replay, warm GP.

What a claim about transfer must beat. Where all that a source points at is asked, uniform draws
of the space follow.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

import numpy as np

from vitruvius.errors import ToolError
from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.blind import random_search
from vitruvius.evals.arms.gaussian import distances, expected_improvement, posterior, raw_of
from vitruvius.evals.oracle import Oracle
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

Allowed = dict[str, tuple[str, ...]]  # slot -> choices, the most frequent first
TRIES = 1000  # for a cell that was not asked yet, as in LAPT's scripts
MOST_OF_A_SOURCE = 400  # trials that the warm process learns from
POPULATION, TOURNAMENT = 5, 2  # of LAPT's scripts
SLOPE_SD = 0.5  # prior deviation around 1 of how far a source's word carries


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
                if np.isfinite(value):  # what cannot be trained is no parent; it was free
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


def good_of(given: Given) -> list[Architecture]:
    """Returns the good ones of all sources."""
    return list(itertools.chain.from_iterable(given.good))


def frequency_random(count: int, given: Given) -> None:
    """Asks at random among the `count` most frequent choices of every slot."""
    allowed = keep(ranked_choices(given.space, good_of(given)), count)
    search_inside(given.space, allowed, given.oracle, given.rng())
    random_search(given.space, given.oracle, given.rng())


def frequency_evolution(count: int, given: Given) -> None:
    """Evolves among the `count` most frequent choices of every slot."""
    allowed = keep(ranked_choices(given.space, good_of(given)), count)
    evolution = Evolution(
        given.space, given.oracle, given.rng(), population=POPULATION, tournament=TOURNAMENT
    )
    while evolution.step(allowed):
        pass
    random_search(given.space, given.oracle, given.rng())


def replay(given: Given) -> None:
    """Asks what sources know, best first, in turns."""
    orders = [_by_value(source) for source in given.sources]
    for turn in itertools.zip_longest(*orders):
        for architecture in turn:
            found = None if architecture is None else _as_member(given.space, architecture)
            if found is not None:
                given.oracle.ask(found)
    random_search(given.space, given.oracle, given.rng())


def gp_transfer(given: Given) -> None:
    """Expected improvement; the prior mean is what a plain process learned from each source.

    Each source's word has a slope, with a prior of 1 +- 0.5, that the target's own values move.
    """
    raw = raw_of(given.space)
    told = np.array([_told(given.space, source) for source in given.sources])  # [sources, raw]
    far = np.empty((0, len(raw)), dtype=np.float32)
    asked: list[int] = []
    values: list[float] = []
    open_ = np.ones(len(raw), dtype=np.bool_)
    gain = told.mean(axis=0)  # before any value of the target, sources are believed alike
    while open_.any():
        row = int(np.argmax(np.where(open_, gain, -np.inf)))
        open_[row] = False
        value = given.oracle.ask(raw.architectures[row])
        if not np.isfinite(value):  # what cannot be trained tells nothing
            continue
        asked.append(row)
        values.append(value)
        far = np.vstack([far, distances(raw.choices[[row]], raw.choices)])
        if len(asked) >= 3:
            gain = _warm_gain(told, far, asked, np.array(values))


def _warm_gain(
    told: FloatArray, far: np.ndarray, asked: list[int], values: FloatArray
) -> FloatArray:
    scores = (values - values.mean()) / (values.std() + 1e-9)
    words = told[:, asked] - told[:, asked].mean(axis=1, keepdims=True)
    precision = np.eye(len(told)) / SLOPE_SD**2
    slopes = np.linalg.solve(words @ words.T + precision, words @ scores + precision.sum(axis=1))
    centre = slopes @ (told - told[:, asked].mean(axis=1, keepdims=True))
    mean, deviation = posterior(far[:, asked], far, scores - centre[asked])
    return expected_improvement(centre + mean, deviation, float(scores.max()))


@lru_cache(maxsize=8)
def _told(space: SearchSpace, source: Source) -> FloatArray:
    """Returns a source's word on every raw combination, in its own standard deviations."""
    raw = raw_of(space)
    places = raw.place_of()
    known = [(member, value) for member, value in _values(source, space) if member in places]
    if not known:
        return np.zeros(len(raw))
    if len(known) > MOST_OF_A_SOURCE:  # the best, and every n-th of the rest
        known.sort(key=lambda pair: -pair[1])
        step = len(known) // (MOST_OF_A_SOURCE // 2)
        known = known[: MOST_OF_A_SOURCE // 2] + known[MOST_OF_A_SOURCE // 2 :: step]
    rows = raw.choices[[places[member] for member, _ in known]]
    values = np.array([value for _, value in known])
    scores = (values - values.mean()) / (values.std() + 1e-9)
    mean, _ = posterior(distances(rows, rows), distances(rows, raw.choices), scores)
    return mean


def _values(source: Source, space: SearchSpace) -> list[tuple[Architecture, float]]:
    sign = source.metric.sign
    found = [
        (_as_member(space, trial.architecture), sign * trial.value)
        for trial in source.trials
        if trial.value is not None
    ]
    return [(member, value) for member, value in found if member is not None]


def _by_value(source: Source) -> list[Architecture]:
    known = [trial for trial in source.trials if trial.value is not None]
    known.sort(key=lambda trial: -source.metric.sign * (trial.value or 0.0))
    return [trial.architecture for trial in known]


def _as_member(space: SearchSpace, architecture: Architecture) -> Architecture | None:
    """Returns the same cell in a space, by the names of slots and choices, if it has it."""
    try:
        return space.parse(architecture.spec)
    except ToolError:
        return None


ARMS = (
    Arm(
        name="majority",
        about="the most frequent choice of every slot, then random",
        run=partial(frequency_random, 1),
        hears=True,
    ),
    *(
        Arm(
            name=f"frequency-{count} {how}",
            about=f"{how} among the {count} most frequent choices of every slot",
            run=partial(run, count),
            hears=True,
        )
        for count in (2, 3)
        for how, run in (("random", frequency_random), ("evolution", frequency_evolution))
    ),
    Arm(name="replay", about="the source's order, then random", run=replay, hears=True),
    Arm(
        name="gp-transfer",
        about="gp-ei whose prior mean is a plain process of the source",
        run=gp_transfer,
        hears=True,
    ),
)
