"""What the analyst may try next: every untried member of the region, or a good sample of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.agents.view import RunView
from vitruvius.errors import ToolError
from vitruvius.memory.coordinates import coordinates
from vitruvius.memory.ranking import Lesson
from vitruvius.spaces.reference import reference_features, reference_sample
from vitruvius.spaces.space import Architecture, BoolArray, FloatArray, SearchSpace

FRESH = 200  # draws beside the fixed sample, where a space is too large to list
CLIMBS = 3  # rounds of looking at the neighbours of the most promising
CLIMBERS = 5
DRAW_TRIES = 20_000

Judge = Callable[[FloatArray], FloatArray]  # features [N, F] -> how promising [N]


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

    Elsewhere: the reference sample, fresh draws, and several rounds of neighbours of the best
    trials and of the most promising candidates.

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
    inside = region.mask(reference_features(space))
    pool = {a: None for a, ok in zip(reference_sample(space), inside, strict=True) if ok}
    pool.update(dict.fromkeys(region.sample(rng) for _ in range(FRESH)))
    best = np.argsort(-lesson.scores, kind="stable")[:CLIMBERS]
    for start in (lesson.trials[i].architecture for i in best):
        pool.update(dict.fromkeys(region.neighbours(start)))
    found = [a for a in pool if a not in view.evaluated]
    features = space.featurise(found) if found else np.empty((0, len(space.features)))
    promise = judge(features) if found else np.empty(0)
    for _ in range(CLIMBS):
        top = np.argsort(-promise, kind="stable")[:CLIMBERS]
        near = dict.fromkeys(n for i in top for n in region.neighbours(found[i]))
        new = [a for a in near if a not in pool and a not in view.evaluated]
        if not new:
            break
        pool.update(dict.fromkeys(new))
        found += new
        more = space.featurise(new)
        features = np.vstack([features, more])
        promise = np.concatenate([promise, judge(more)])
    if not found:
        return _drawn(view, rng)
    return _all_of(space, found, features)


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
