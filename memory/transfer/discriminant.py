"""In which direction the best of a source differ from draws of the space: a linear discriminant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvius.memory.model.coordinates import coordinates
from vitruvius.spaces.space import FloatArray, SearchSpace, reference_features

RIDGE = 0.1  # of the covariances; coordinates of a group have summed variance 0.5
PULL = 10  # architectures for which the sampler's own covariance counts
BEST = 0.1  # of a source's architectures are its best
FEWEST = 5
HANDFUL = 20  # of a source that is no sample of the space: all of them were chosen
CLEAR = 5.0  # standard deviations by which a source must differ from a sample of the space


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """A linear score of features: mean 0 and deviation 1 under the space's sampler.

    `sure` in [0, 1] is the part of the difference that chance does not explain.
    """

    space: SearchSpace
    way: FloatArray
    offset: float
    sure: float

    def at(self, features: FloatArray) -> FloatArray:
        """Returns the scores [N]."""
        return np.asarray(coordinates(self.space).of(features) @ self.way - self.offset)


def direction_of_best(
    space: SearchSpace, features: FloatArray, scores: FloatArray
) -> Direction | None:
    """Returns where the best of a source lie, or None of fewer than `FEWEST`.

    That is the discriminant (Fisher 1936) of the source's best tenth against draws of the space. Of
    a source that is clearly no sample of the space, such as somebody's list of the best, up
    to `HANDFUL` count as best: nobody says what was worse, but the space does.

    Args:
        space: of the features.
        features: of the source's architectures [N, F].
        scores: more is better [N].
    """
    if len(scores) < FEWEST:
        return None
    transform = coordinates(space)
    drawn = transform.of(reference_features(space))
    centre, within = drawn.mean(axis=0), np.atleast_2d(np.cov(drawn, rowvar=False))
    points = transform.of(features[np.argsort(-scores, kind="stable")])
    ridge = RIDGE * np.eye(len(within))
    spread = np.linalg.solve(within + ridge, within)
    by_chance = float(np.trace(spread))

    def seen(count: int) -> float:
        shift = points[:count].mean(axis=0) - centre
        return float(count * shift @ np.linalg.solve(within + ridge, shift))

    clear = by_chance + CLEAR * float(np.sqrt(2 * np.trace(spread @ spread)))
    handful = min(len(points), HANDFUL) if seen(len(points)) > clear else FEWEST
    count = max(handful, round(BEST * len(points)))
    best = points[:count]
    pooled = (PULL * within + count * np.cov(best, rowvar=False)) / (PULL + count)
    way = np.linalg.solve(pooled + ridge, best.mean(axis=0) - centre)
    scale = float((drawn @ way).std())
    if scale < 1e-9:
        return None
    _, repeats = np.unique(best, axis=0, return_counts=True)
    alike = float((repeats**2).sum()) / count  # draws of one architecture have one score
    sure = max(0.0, 1 - alike * by_chance / seen(count))
    return Direction(space=space, way=way / scale, offset=float(centre @ way) / scale, sure=sure)
