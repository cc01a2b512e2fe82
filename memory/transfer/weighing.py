"""What a run makes of its sources: their hints as a prior, weighed by the run's own trials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.memory.model.prior import Hint, Prior, combine
from vitruvius.memory.model.ranking import Lesson, quality
from vitruvius.memory.transfer.source_hints import Source, source_hints, unheard
from vitruvius.memory.transfer.space_overlap import match
from vitruvius.spaces.space import FloatArray, SearchSpace

PRIOR_TEST = 8  # trials from which sources must make them likelier


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
    space: SearchSpace,
    lesson: Lesson,
    prior: Prior,
    silent: Prior | None = None,
    features: FloatArray | None = None,
) -> Surrogate:
    """Returns the model of a run's trials with hints, each as far as the trials bear it out.

    Scores are told twice: on the scale that the hints expect, and then on the one that is expected
    of what a first look leaves of them. Hints that turn out wrong would otherwise pull the scores
    apart where they expected much, and the model would take the strain for room to explore.
    Sources that do not even make the trials likelier are not heard.

    Args:
        space: of the run.
        lesson: its trials.
        prior: the hints.
        silent: what is expected without the sources.
        features: of the trials as the hints read them; None: the space's own.
    """
    if features is None:
        features = space.featurise([trial.architecture for trial in lesson.trials])
    model = Surrogate.fit(space, features, prior.rescaled(features, lesson.scores), prior)
    if not prior.is_guide:
        return model
    if len(lesson.trials) >= PRIOR_TEST:
        alone = Surrogate.fit(space, features, lesson.scores, silent)
        told = Surrogate.fit(space, features, lesson.scores, prior)
        if alone.log_evidence > told.log_evidence:
            return alone
    scores = prior.rescaled(features, lesson.scores, model.weights())
    return Surrogate.fit(space, features, scores, prior)


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
    model = fit_hinted(space, lesson, prior)
    weights = model.weights() if model.prior is prior else np.zeros(len(prior.hints))
    found = {}
    for run_id in dict.fromkeys(hint.source for hint in prior.hints if hint.source is not None):
        rows = [row for row, hint in enumerate(prior.hints) if hint.source == run_id]
        found[run_id] = float(weights[rows].sum() / prior.weights[rows].sum())
    return found


def refusal(space: SearchSpace, source: Source) -> str | None:
    """Returns why a source has no say in a space, or None."""
    rated = sum(quality(trial, source.metric) is not None for trial in source.trials)
    reason = match(source.space, space).reason or unheard(rated, source.trust)
    if reason is None and not source_hints(space, source):
        return "its own trials bear out neither its model nor its choice"
    return reason
