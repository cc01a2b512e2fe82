"""What sources say of a run's architectures: each source's own model, as hints."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import os

from vitruvius.memory.coordinates import coordinates
from vitruvius.memory.hints import Hint
from vitruvius.memory.ranking import normal_scores, quality
from vitruvius.memory.sources import Source
from vitruvius.memory.surrogate import Surrogate
from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import FloatArray, SearchSpace

MOST, MOST_BEST = 300, 120
BACKGROUND = 150
DOUBT = float(os.environ.get('DOUBT','0.3'))
LDA = float(os.environ.get('LDA','0.8'))
TE = float(os.environ.get('TE','1'))


@lru_cache(maxsize=32)
def source_hints(space: SearchSpace, source: Source) -> tuple[Hint, ...]:
    rated = [(t, q) for t in source.trials if (q := quality(t, source.metric)) is not None]
    values = np.array([q for _, q in rated])
    scores = normal_scores(values)
    features = source.space.featurise([t.architecture for t, _ in rated])
    kept = _choose(values)
    hints = []
    model = Surrogate.fit(space, features[kept], scores[kept])
    slope = _slope(model, scores[kept])
    if slope > 0.05:
        told = _Told(model, features, scores, slope)
        sd = told(reference_features(space)).std()
        hints.append(Hint(name="scores", values=lambda there: told(there) / sd, trust=source.trust**TE*min(1, sd), doubt=DOUBT))
    hints += _best_hint(space, features, values, source.trust)
    return tuple(hints)


RIDGE = 0.1
PULL = 10


def _best_hint(space, features, values, trust):
    transform = coordinates(space)
    drawn = transform.of(reference_features(space))
    within = np.cov(drawn, rowvar=False)
    n = len(values)
    if n < 5:
        return []
    order = np.argsort(-values, kind="stable")
    points = transform.of(features[order])

    def real(count):
        shift = points[:count].mean(axis=0) - drawn.mean(axis=0)
        inverse = np.linalg.inv(within + RIDGE * np.eye(len(within)))
        spread = within @ inverse
        seen = count * shift @ inverse @ shift
        return seen, np.trace(spread @ spread.T) ** 0 * np.trace(spread), np.sqrt(2 * np.trace(spread @ spread))

    seen, expected, sd = real(n)
    chosen = seen > expected + 5 * sd
    count = max(5, round(n / 10), min(n, 20) if chosen else 0)
    seen, expected, _ = real(count)
    sure = max(0.0, 1 - expected / seen)
    best = points[:count]
    pooled = (PULL * within + count * np.cov(best, rowvar=False)) / (PULL + count)
    way = np.linalg.solve(pooled + RIDGE * np.eye(len(pooled)), best.mean(axis=0) - drawn.mean(axis=0))
    scale = 1 / (drawn @ way).std()
    offset = drawn.mean(axis=0) @ way
    if sure < 0.1:
        return []
    return [Hint(name="best", values=lambda there: scale * (transform.of(there) @ way - offset), trust=trust**TE * sure * LDA, doubt=DOUBT)]


def _choose(values: FloatArray) -> list[int]:
    if len(values) <= MOST:
        return list(range(len(values)))
    best = np.argsort(-values, kind="stable")[:MOST_BEST].tolist()
    rest = np.setdiff1d(np.arange(len(values)), best)
    drawn = np.random.default_rng(0).choice(rest, MOST - MOST_BEST, replace=False)
    return sorted({*best, *drawn.tolist()})


def _slope(model: Surrogate, scores: FloatArray) -> float:
    left, _ = model.left_out()
    predicted = scores - left
    spread = float(np.var(predicted))
    if spread < 1e-12:
        return 0.0
    return float(np.clip(np.cov(predicted, scores)[0, 1] / spread, 0, 1))


class _Told:
    """A source's model, and where it has a trial the trial's own score as far as it counts."""

    def __init__(self, model: Surrogate, features: FloatArray, scores: FloatArray, slope: float):
        self.model, self.slope = model, slope
        self.known = {row.tobytes(): place for place, row in enumerate(features)}
        self.scores = scores

    def __call__(self, features: FloatArray) -> FloatArray:
        found = self.model.at(features)
        mean = found.mean.copy()
        noise = self.model.noise_sd**2
        if len(self.known) > MOST:
            for place, row in enumerate(np.ascontiguousarray(features)):
                known = self.known.get(row.tobytes())
                if known is not None:
                    gain = found.sd[place] ** 2 / (found.sd[place] ** 2 + noise)
                    mean[place] += gain * (self.scores[known] - mean[place])
        return self.slope * mean
