"""What the analyst may try next, and which of it: bounds on the score of untried candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.agents.chairs.view import RunView
from vitruvius.errors import ToolError
from vitruvius.memory.model.coordinates import coordinates
from vitruvius.memory.model.gaussian_process import Posterior
from vitruvius.memory.model.ranking import Lesson
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    reference_features,
    reference_sample,
)

BASE = 600  # of the reference sample, where a space is too large to list
FRESH = 60  # new draws beside them
CLIMBS = 3  # rounds of looking at the neighbours of the most promising
CLIMBERS = 5
DRAW_TRIES = 20_000

# features [N, F], their architectures -> how promising [N]
Judge = Callable[[FloatArray, Sequence[Architecture]], FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Architectures [N] with features [N, F] and coordinates [N, D]; only `free` ones may be tried.

    Tried ones and those outside the region stay in the arrays: leaving thousands of rows where
    they are costs less than copying the others at every decision.
    """

    architectures: Sequence[Architecture]
    free: BoolArray
    features: FloatArray
    plain: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class _Listed:
    architectures: tuple[Architecture, ...]
    places: dict[Architecture, int]
    features: FloatArray
    plain: FloatArray


def untried(view: RunView, lesson: Lesson, judge: Judge, rng: np.random.Generator) -> Candidates:
    """Returns what may be tried: all members of the region where the space lists them.

    Elsewhere: the reference sample, fresh draws, all that proxies scored, and several rounds of
    neighbours of the best trials and of the most promising candidates.

    Args:
        view: gives space, region and what was tried.
        lesson: rated trials.
        judge: says how promising candidates are.
        rng: of the fresh draws.

    Raises:
        ToolError: if nothing untried is left in the region.
    """
    listed = _listed(view.space)
    if listed is not None:
        free = view.region.mask(listed.features)
        tried = [listed.places[a] for a in view.evaluated if a in listed.places]
        free[tried] = False
        if not free.any():
            raise _exhausted(view)
        return Candidates(
            architectures=listed.architectures,
            free=free,
            features=listed.features,
            plain=listed.plain,
        )
    return _sampled(view, lesson, judge, rng)


def random_untried(view: RunView, count: int, rng: np.random.Generator) -> list[Architecture]:
    """Returns up to `count` different untried architectures drawn from the region.

    Raises:
        ToolError: if there is none.
    """
    listed = _listed(view.space)
    found: dict[Architecture, None] = {}
    for _ in range(DRAW_TRIES if listed is None else 50 * count):
        architecture = view.region.sample(rng)
        if architecture not in view.evaluated:
            found[architecture] = None
        if len(found) == count:
            return list(found)
    if listed is not None:
        inside = view.region.mask(listed.features)
        left = [
            a
            for a, ok in zip(listed.architectures, inside, strict=True)
            if ok and a not in view.evaluated and a not in found
        ]
        found.update(dict.fromkeys(left[i] for i in rng.permutation(len(left))))
    if not found:
        raise _exhausted(view)
    return list(found)[:count]


@lru_cache(maxsize=4)
def _listed(space: SearchSpace) -> _Listed | None:
    members = space.members()
    if members is None:
        return None
    features = space.featurise(members)
    return _Listed(
        architectures=tuple(members),
        places={architecture: row for row, architecture in enumerate(members)},
        features=features,
        plain=coordinates(space).of(features),
    )


def _sampled(view: RunView, lesson: Lesson, judge: Judge, rng: np.random.Generator) -> Candidates:
    space, region = view.space, view.region
    pool = dict(zip(reference_sample(space)[:BASE], reference_features(space)[:BASE], strict=True))
    fresh = [space.sample(rng) for _ in range(FRESH)]
    pool.update(zip(fresh, space.featurise(fresh), strict=True))
    scored = [] if view.board is None else list(view.board.places)
    pool.update(zip(scored, space.featurise(scored), strict=True) if scored else ())
    best = np.argsort(-lesson.scores, kind="stable")[:CLIMBERS]
    for start in (lesson.trials[i].architecture for i in best):
        pool.update(_near(space, start))
    seen = set(view.evaluated)
    found: list[Architecture] = []
    features = np.empty((0, len(space.features)))
    promise = np.empty(0)
    for _ in range(CLIMBS + 1):
        new = [architecture for architecture in pool if architecture not in seen]
        rows = np.array([pool[a] for a in new]).reshape(len(new), len(space.features))
        inside = region.mask(rows)
        new = [architecture for architecture, ok in zip(new, inside, strict=True) if ok]
        if not new:
            break
        seen.update(new)
        found += new
        features = np.vstack([features, rows[inside]])
        promise = np.concatenate([promise, judge(rows[inside], new)])
        top = np.argsort(-promise, kind="stable")[:CLIMBERS]
        pool = {a: row for i in top for a, row in _near(space, found[i])}
    return _all_of(space, found, features) if found else _drawn(view, rng)


@lru_cache(maxsize=512)
def _near(
    space: SearchSpace, architecture: Architecture
) -> tuple[tuple[Architecture, FloatArray], ...]:
    """Returns the neighbours with their features; the best are asked at every decision."""
    near = space.neighbours(architecture)
    return tuple(zip(near, space.featurise(near), strict=True)) if near else ()


def _drawn(view: RunView, rng: np.random.Generator) -> Candidates:
    found = random_untried(view, CLIMBERS, rng)
    return _all_of(view.space, found, view.space.featurise(found))


def _all_of(space: SearchSpace, found: Sequence[Architecture], features: FloatArray) -> Candidates:
    return Candidates(
        architectures=found,
        free=np.ones(len(found), dtype=np.bool_),
        features=features,
        plain=coordinates(space).of(features),
    )


def _exhausted(view: RunView) -> ToolError:
    hint = "undo a cut to widen it" if view.region.cuts else "the search is complete"
    return ToolError(f"nothing untried is left in the region of {view.space.name}; {hint}")


OPTIMISM = 3.0  # posterior standard deviations above the mean; 2.5 to 4 measure alike
GUIDED_OPTIMISM = 2.0  # where other runs are listened to
PROXY_OPTIMISM = 1.0  # where proxies are heard; 3 found a third as many of the best recurrent cells
EAGER_OPTIMISM = 0.5  # before any uniform trial of a run that listens


def bounds(posterior: Posterior, optimism: float = OPTIMISM) -> FloatArray:
    """Returns the optimistic score of each candidate [M]."""
    return posterior.mean + optimism * posterior.sd


def pick(
    posterior: Posterior,
    penalty: FloatArray,
    count: int,
    noise: float,
    optimism: float = OPTIMISM,
) -> list[int]:
    """Returns up to `count` rows of highest optimistic score less penalty.

    Within a batch the mean stays and the deviations shrink as if the earlier picks had been
    tried, so that the picks spread (Desautels et al. 2014, GP-BUCB, algorithm 1).

    Args:
        posterior: at the candidates.
        penalty: subtracted from their scores [M]; infinite where one may not be picked.
        count: at least 1.
        noise: variance of a trial's score around the process.
        optimism: posterior standard deviations above the mean.
    """
    variance = posterior.sd**2
    rows: list[int] = []
    known: list[FloatArray] = []
    while True:
        score = posterior.mean + optimism * np.sqrt(variance) - penalty
        score[rows] = -np.inf
        rows.append(int(np.argmax(score)))
        if len(rows) == min(count, int(np.isfinite(penalty).sum())):
            return rows
        shared = posterior.covariance_with(rows[-1])
        for earlier in known:
            shared = shared - earlier[rows[-1]] * earlier
        known.append(shared / np.sqrt(shared[rows[-1]] + noise + 1e-9))
        variance = np.maximum(variance - known[-1] ** 2, 0)
