"""What sources say of a run's architectures: each source's own model, as hints."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import os

from vitruvius.memory.hints import Hint
from vitruvius.memory.ranking import normal_scores, quality
from vitruvius.memory.sources import Source
from vitruvius.memory.surrogate import Surrogate
from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import FloatArray, SearchSpace

MOST, MOST_BEST = 300, 120
BACKGROUND = 150
DOUBT = float(os.environ.get('DOUBT','0.3'))
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
        hints.append(Hint(name="scores", values=told, trust=source.trust**TE, doubt=DOUBT))
    background = reference_features(space)[:BACKGROUND]
    chosen = features[np.argsort(-values, kind="stable")[:100]]
    n, m = len(chosen), len(background)
    labels = np.concatenate([np.full(n, 1.0), np.full(m, -n / m)])
    labels /= labels.std()
    both = np.vstack([chosen, background])
    model = Surrogate.fit(space, both, labels)
    slope = _slope(model, labels)
    if slope > 0.3 and n < 50:
        told = _Told(model, both[:0], labels[:0], slope)
        hints.append(Hint(name="chosen", values=told, trust=source.trust**TE, doubt=DOUBT))
    return tuple(hints)


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
