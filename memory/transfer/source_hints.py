"""What a source says of a run's architectures, as hints.

Each source speaks twice: by its own model's mean, which is right in the bulk, and by the direction
in which its best differ from the space, which is right near the top and needs no failures. On
NAS-Bench-201 the two together need half the queries of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.coordinates import coordinates
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.prior import Hint, Mean
from vitruvius.memory.model.ranking import normal_scores, ordered, quality
from vitruvius.memory.records import Origin, Score, Trial
from vitruvius.memory.transfer.space_overlap import Matching, look_up, match, scores_here
from vitruvius.memory.transfer.trust import LEAST_TRUST
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    reference_features,
    reference_sample,
)
from vitruvius.tasks.task import Metric

RIDGE = 0.1  # of the covariances; coordinates of a group have summed variance 0.5
PULL = 10  # architectures for which the sampler's own covariance counts
BEST = 0.1  # of a source's architectures are its best
FEWEST_SCORED = 5
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
    """Returns where the best of a source lie, or None of fewer than `FEWEST_SCORED`.

    That is the discriminant (Fisher 1936) of the source's best tenth against draws of the space. Of
    a source that is clearly no sample of the space, such as somebody's list of the best, up
    to `HANDFUL` count as best: nobody says what was worse, but the space does.

    Args:
        space: of the features.
        features: of the source's architectures [N, F].
        scores: more is better [N].
    """
    if len(scores) < FEWEST_SCORED:
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
    handful = min(len(points), HANDFUL) if seen(len(points)) > clear else FEWEST_SCORED
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


MEMORY, NONE = "memory", "none"  # in place of a run's id: everything that fits, and nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The trials of another run, on its own space and metric. Never those of the run that reads it.

    `trust` in [0, 1] weighs its word before the reading run has trials of its own.
    """

    run_id: str
    task_name: str
    space: SearchSpace
    metric: Metric
    trials: Sequence[Trial]
    trust: float
    scores: Sequence[Score] = ()  # of proxies, for these trials' architectures


MOST, MOST_BEST = 300, 120  # trials of a source that fit its model, and how many of them are best
FEWEST = 4  # trials below which a source says nothing
LEAST_CLAIM = 0.42  # random scores of 200 NAS-Bench-201 cells claim up to 0.41, true ones 0.8
LEAST_HELD = 0.2  # of the model of a search: shuffled scores mostly claim less, true ones more
TOP = 0.1  # of the space: what a source may be wrong about though it is right in the bulk
MOSTLY = 0.5  # of the sampler's draws, for a source to be read as a sample
LINEAR = 0.8  # the claim of a direction that is beyond doubt: it explains no bends


def unheard(rated: int, trust: float) -> str | None:
    """Returns why a source of so many rated trials and such trust has no say, or None."""
    if rated < FEWEST:
        return f"it has {rated} rated trials; at least {FEWEST} are needed"
    if trust < LEAST_TRUST:
        return f"its trust is {trust:.2f}, below {LEAST_TRUST}"
    return None


@lru_cache(maxsize=32)
def source_hints(space: SearchSpace, source: Source) -> tuple[Hint, ...]:
    """Returns a source's hints for a space, kept while the source object lives.

    Trust is square-rooted: it is a share of what is explained, a hint claims a correlation.
    """
    matching = match(source.space, space)
    rated = [(t, q) for t in source.trials if (q := quality(t, source.metric)) is not None]
    if matching.reason or unheard(len(rated), source.trust):
        return ()
    values = ordered(rated, source.metric)
    fidelities = np.array([trial.meant_for for trial, _ in rated])
    scores = np.empty(len(values))
    for fidelity in set(fidelities.tolist()):
        scores[fidelities == fidelity] = normal_scores(values[fidelities == fidelity])
    mine = [trial.architecture for trial, _ in rated]
    features = matching.common(source.space.featurise(mine))
    made = [_of_model(matching, mine, features, scores), _of_best(matching, mine, features, scores)]
    claims = [claim for _, claim in made]
    if _was_searched(source) and claims[0] < LEAST_HELD:
        return ()
    if sum(claim**2 for claim in claims) < LEAST_CLAIM * sum(claims):
        return ()
    hints = []
    for name, (mean, claim) in zip(("scores", "best"), made, strict=True):
        trust = claim * float(np.sqrt(source.trust))
        if mean is not None and trust > 0:
            hint = _standardised(space, f"{source.run_id} {name}", mean, trust, source)
            hints += [hint] if hint is not None else []
    if _is_census(source.space, mine) and (top := _top(space, source, hints)) is not None:
        hints.append(top)
    return tuple(hints)


def _top(space: SearchSpace, source: Source, hints: Sequence[Hint]) -> Hint | None:
    """Returns how much more than most the source's model promises, for the run to believe or not.

    It expects nothing beyond what the model's own hint does. But a source may be right in the bulk
    and wrong about its best, and then the run's trials give this a weight of its own.
    """
    told = next((hint for hint in hints if hint.name.endswith(" scores")), None)
    if told is None:
        return None
    bound = float(np.quantile(told.values(reference_features(space)), 1 - TOP))

    def mean(features: FloatArray) -> FloatArray:
        return np.maximum(told.values(features) - bound, 0)

    return _standardised(space, f"{source.run_id} top", mean, 0.0, source)


def _was_searched(source: Source) -> bool:
    """Returns whether a search chose some of the trials.

    Its best differ from the space because it looked there, whatever they are worth: the direction
    of its best says nothing unless its model holds for trials that are left out.
    """
    return any(trial.origin == Origin.ARCHITECT for trial in source.trials)


def _standardised(
    space: SearchSpace, name: str, mean: Mean, trust: float, source: Source
) -> Hint | None:
    drawn = mean(reference_features(space))
    centre, spread = float(drawn.mean()), float(drawn.std())
    if spread < 1e-9:
        return None

    def values(features: FloatArray) -> FloatArray:
        return np.asarray((mean(features) - centre) / spread)

    return Hint(name=name, values=values, trust=trust, source=source.run_id)


def _of_model(
    matching: Matching,
    architectures: Sequence[Architecture],
    features: FloatArray,
    scores: FloatArray,
) -> tuple[Mean | None, float]:
    """Returns the mean of the source's model and the correlation that it claims.

    That is the standard deviation of its mean under the sampler, times how much of it holds for
    trials that are left out: a source of noise claims nothing. Where the model did not hear of a
    trial, or only what can be translated of it, the trial's own score moves the mean.
    """
    kept = _kept(scores)
    model = Surrogate.fit(matching.source, features[kept], scores[kept])
    predicted = scores[kept] - model.left_out()[0]
    spread = float(np.var(predicted))
    if spread < 1e-9:
        return None, 0.0
    holds = float(np.clip(np.cov(predicted, scores[kept])[0, 1] / spread, 0, 1))

    def moved(there: FloatArray, seen: FloatArray) -> FloatArray:
        found = model.at(there)
        gain = found.sd**2 / (found.sd**2 + model.noise_sd**2)
        return np.asarray(found.mean + np.where(np.isnan(seen), 0, gain * (seen - found.mean)))

    unheard_of = ~kept if matching.is_one_family else np.ones_like(kept)
    known = {architectures[row]: float(scores[row]) for row in np.flatnonzero(unheard_of).tolist()}
    reference = reference_features(matching.source)
    there = scores_here(matching.source, matching.source, known)
    drawn = moved(matching.common(reference), look_up(reference, there))
    here = scores_here(matching.source, matching.target, known)

    def mean(asked: FloatArray) -> FloatArray:
        return moved(matching.in_source(asked), look_up(asked, here))

    return mean, min(1.0, holds * float(drawn.std()))


def _as_drawn(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    features: FloatArray,
    scores: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Returns features and scores of a source, as often as the sampler draws them if it has most.

    A list of all members is no sample: on NAS-Bench-201 it differs from one so clearly that its
    best tenth would, whatever their scores.
    """
    if not _is_census(space, architectures):
        return features, scores
    places = {architecture: row for row, architecture in enumerate(architectures)}
    drawn = [places[a] for a in reference_sample(space) if a in places]
    return features[drawn], scores[drawn]


def _is_census(space: SearchSpace, architectures: Sequence[Architecture]) -> bool:
    """Returns whether most draws of the space are among the architectures."""
    known, drawn = set(architectures), reference_sample(space)
    return sum(each in known for each in drawn) >= MOSTLY * len(drawn)


def _of_best(
    matching: Matching,
    architectures: Sequence[Architecture],
    features: FloatArray,
    scores: FloatArray,
) -> tuple[Mean | None, float]:
    direction = direction_of_best(
        matching.source, *_as_drawn(matching.source, architectures, features, scores)
    )
    if direction is None:
        return None, 0.0

    def mean(asked: FloatArray) -> FloatArray:
        return direction.at(matching.in_source(asked))

    return mean, LINEAR * direction.sure


def _kept(scores: FloatArray) -> BoolArray:
    kept = np.ones(len(scores), dtype=np.bool_)
    if len(scores) > MOST:
        best = np.argsort(-scores, kind="stable")[:MOST_BEST]
        rest = np.setdiff1d(np.arange(len(scores)), best)
        kept[:] = False
        kept[best] = True
        kept[np.random.default_rng(0).choice(rest, MOST - MOST_BEST, replace=False)] = True
    return kept
