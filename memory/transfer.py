"""What sources say of a run's architectures, as hints; and what the run makes of them.

Each source speaks twice: by its own model's mean, which is right in the bulk, and by the direction
in which its best differ from the space, which is right near the top and needs no failures. On
NAS-Bench-201 the two together need half the queries of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from vitruvius.memory.directions import direction_of_best
from vitruvius.memory.hints import Hint, Mean, Prior, combine
from vitruvius.memory.matching import Translation, translation
from vitruvius.memory.ranking import Lesson, normal_scores, quality
from vitruvius.memory.sources import Source
from vitruvius.memory.surrogate import Surrogate
from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import BoolArray, FloatArray, SearchSpace

MOST, MOST_BEST = 300, 120  # trials of a source that fit its model, and how many of them are best
FEWEST = 4  # trials below which a source says nothing
LEAST_CLAIM = 0.42  # random scores of 200 NAS-Bench-201 cells claim up to 0.41, true ones 0.8
LINEAR = 0.8  # the claim of a direction that is beyond doubt: it explains no bends


def source_prior(
    space: SearchSpace, sources: Sequence[Source], others: tuple[Hint, ...] = ()
) -> Prior | None:
    """Returns what the sources and other hints say together, or None if they say nothing."""
    return _prior(space, tuple(sources), others)


def has_guide(space: SearchSpace, sources: Sequence[Source]) -> bool:
    """Returns whether a source has a say in what is tried first."""
    return source_prior(space, sources) is not None


@lru_cache(maxsize=8)
def _prior(
    space: SearchSpace, sources: tuple[Source, ...], others: tuple[Hint, ...]
) -> Prior | None:
    told = [hint for source in sources for hint in source_hints(space, source)]
    return combine(space, [*told, *others])


def fit_hinted(
    space: SearchSpace, lesson: Lesson, prior: Prior, features: FloatArray | None = None
) -> Surrogate:
    """Returns the model of a run's trials with hints, each as far as the trials bear it out.

    Args:
        space: of the run.
        lesson: its trials.
        prior: the hints.
        features: of the trials as the hints read them; None: the space's own.
    """
    if features is None:
        features = space.featurise([trial.architecture for trial in lesson.trials])
    return Surrogate.fit(space, features, prior.rescaled(features, lesson.scores), prior)


def learned_weights(
    space: SearchSpace, sources: Sequence[Source], lesson: Lesson
) -> dict[str, float]:
    """Returns each source's weight by its run: 1 as trusted, 0 of no use, below 0 misleading.

    That is the weight that the run's trials leave its hints, over the one that trust gave them.
    Without trials it is 1; sources that say nothing are left out.
    """
    prior = source_prior(space, sources)
    if prior is None:
        return {}
    weights = fit_hinted(space, lesson, prior).weights()
    found = {}
    for run_id in dict.fromkeys(hint.source for hint in prior.hints if hint.source is not None):
        rows = [row for row, hint in enumerate(prior.hints) if hint.source == run_id]
        found[run_id] = float(weights[rows].sum() / prior.weights[rows].sum())
    return found


def refusal(space: SearchSpace, source: Source) -> str | None:
    """Returns why a source has no say in a space, or None."""
    rated = sum(quality(trial, source.metric) is not None for trial in source.trials)
    if rated < FEWEST:
        return f"it has {rated} rated trials; at least {FEWEST} are needed"
    if source.trust <= 0:
        return "it is not trusted"
    if translation(space, source.space) is None:
        return f"no feature of {source.space.name} is known in {space.name} by name and kind"
    if not source_hints(space, source):
        return "its own trials bear out neither its model nor its choice"
    return None


@lru_cache(maxsize=32)
def source_hints(space: SearchSpace, source: Source) -> tuple[Hint, ...]:
    """Returns a source's hints for a space, kept while the source object lives.

    Trust is square-rooted: it is a share of what is explained, a hint claims a correlation.
    """
    bridge = translation(space, source.space)
    rated = [(t, q) for t in source.trials if (q := quality(t, source.metric)) is not None]
    if bridge is None or source.trust <= 0 or len(rated) < FEWEST:
        return ()
    values = np.array([q for _, q in rated], dtype=np.float64)
    fidelities = np.array([trial.fidelity for trial, _ in rated])
    scores = np.empty(len(values))
    for fidelity in set(fidelities.tolist()):
        scores[fidelities == fidelity] = normal_scores(values[fidelities == fidelity])
    features = bridge.common(source.space.featurise([trial.architecture for trial, _ in rated]))
    made = [_of_model(source.space, features, scores), _of_best(source.space, features, scores)]
    claims = [claim for _, claim in made]
    if sum(claim**2 for claim in claims) < LEAST_CLAIM * sum(claims):
        return ()
    hints = []
    for name, (mean, claim) in zip(("scores", "best"), made, strict=True):
        trust = claim * float(np.sqrt(source.trust))
        if mean is not None and trust > 0:
            hint = _standardised(space, f"{source.run_id} {name}", mean, bridge, trust, source)
            hints += [hint] if hint is not None else []
    return tuple(hints)


def _standardised(
    space: SearchSpace, name: str, mean: Mean, bridge: Translation, trust: float, source: Source
) -> Hint | None:
    drawn = mean(bridge.of(reference_features(space)))
    centre, spread = float(drawn.mean()), float(drawn.std())
    if spread < 1e-9:
        return None

    def values(features: FloatArray) -> FloatArray:
        return np.asarray((mean(bridge.of(features)) - centre) / spread)

    return Hint(name=name, values=values, trust=trust, source=source.run_id)


def _of_model(
    space: SearchSpace, features: FloatArray, scores: FloatArray
) -> tuple[Mean | None, float]:
    """Returns the mean of the source's model and the correlation that it claims.

    That is the standard deviation of its mean under the sampler, times how much of it holds for
    trials that are left out: a source of noise claims nothing.
    """
    kept = _kept(scores)
    model = Surrogate.fit(space, features[kept], scores[kept])
    predicted = scores[kept] - model.left_out()[0]
    spread = float(np.var(predicted))
    if spread < 1e-9:
        return None, 0.0
    holds = float(np.clip(np.cov(predicted, scores[kept])[0, 1] / spread, 0, 1))
    known = {row.tobytes(): score for row, score in zip(features, scores, strict=True)}

    def mean(there: FloatArray) -> FloatArray:
        found = model.at(there)
        told = found.mean.copy()
        if kept.all():
            return told
        noise = model.noise_sd**2
        for place, row in enumerate(np.ascontiguousarray(there)):  # trials that did not fit
            score = known.get(row.tobytes())
            if score is not None:
                gain = found.sd[place] ** 2 / (found.sd[place] ** 2 + noise)
                told[place] += gain * (score - told[place])
        return told

    return mean, min(1.0, holds * float(mean(reference_features(space)).std()))


def _of_best(
    space: SearchSpace, features: FloatArray, scores: FloatArray
) -> tuple[Mean | None, float]:
    direction = direction_of_best(space, features, scores)
    return (None, 0.0) if direction is None else (direction.at, LINEAR * direction.sure)


def _kept(scores: FloatArray) -> BoolArray:
    kept = np.ones(len(scores), dtype=np.bool_)
    if len(scores) > MOST:
        best = np.argsort(-scores, kind="stable")[:MOST_BEST]
        rest = np.setdiff1d(np.arange(len(scores)), best)
        kept[:] = False
        kept[best] = True
        kept[np.random.default_rng(0).choice(rest, MOST - MOST_BEST, replace=False)] = True
    return kept
