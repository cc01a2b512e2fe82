"""Searches to compare with: random, regularized evolution, local search, plain GP-EI.

Each asks an oracle until it is spent. Repeats are free for all of them.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr

from vitruvius.evals.oracle import Oracle
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

Search = Callable[[SearchSpace, Oracle, np.random.Generator], None]

POPULATION, TOURNAMENT = 10, 3
FIRST_DRAWS = 5  # of GP-EI
MAX_STEPS = 5000  # bound on free repeats


def random_search(space: SearchSpace, oracle: Oracle, rng: np.random.Generator) -> None:
    """Asks draws of the space's sampler."""
    while True:
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
    """Expected improvement under a plain Gaussian process on raw one-hot choices.

    Kernel exp(-Hamming distance / length), standardised values, all raw combinations as
    candidates: it knows neither canonical forms nor structure.
    """
    names = [slot.names for slot in space.slots]
    raw = np.array(list(itertools.product(*(range(len(each)) for each in names))))
    asked: list[int] = []
    values: list[float] = []
    while True:
        if len(asked) < FIRST_DRAWS:
            row = int(rng.integers(len(raw)))
        else:
            gain = _expected_improvement(raw, asked, np.array(values))
            gain[asked] = -np.inf
            row = int(np.argmax(gain))
        spec = {s.name: s.names[i] for s, i in zip(space.slots, raw[row], strict=True)}
        asked.append(row)
        values.append(oracle.ask(space.canonical(Architecture.of(spec))))


def _expected_improvement(raw: np.ndarray, asked: list[int], values: FloatArray) -> FloatArray:
    scores = (values - values.mean()) / (values.std() + 1e-9)
    distance = (raw[asked][:, None, :] != raw[None, :, :]).sum(axis=2)  # [asked, raw]
    fits = []
    for length in (1.0, 2.0, 4.0):
        kernel = np.exp(-distance[:, asked] / length) + 1e-2 * np.eye(len(asked))
        factor = cho_factor(kernel, lower=True)
        weights = cho_solve(factor, scores)
        likelihood = -0.5 * scores @ weights - np.log(np.diag(factor[0])).sum()
        fits.append((float(likelihood), length, factor, weights))
    _, length, factor, weights = max(fits, key=lambda fit: fit[0])
    cross = np.exp(-distance / length)
    mean = weights @ cross
    left = 1 - np.einsum("nm,nm->m", cross, cho_solve(factor, cross))
    sd = np.sqrt(np.maximum(left, 1e-9))
    step = (mean - scores.max()) / sd
    return np.asarray(
        sd * (step * ndtr(step) + np.exp(-0.5 * step**2) / np.sqrt(2 * np.pi)), dtype=np.float64
    )


BASELINES: dict[str, Search] = {
    "random": random_search,
    "evolution": regularized_evolution,
    "local": local_search,
    "gp-ei": gp_ei,
}
