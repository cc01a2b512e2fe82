"""What a run makes of each proxy: whether it says more than counting, and its learned weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from vitruvius.memory.evidence.calibration import COUNTED
from vitruvius.memory.model.proxy_prior import with_proxies
from vitruvius.memory.model.proxy_scores import Board
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import Calibration
from vitruvius.memory.transfer.sources import Source
from vitruvius.memory.transfer.weighing import fit_hinted, source_prior
from vitruvius.spaces.space import SearchSpace

# A proxy of correlation 0.4 is told from none by 40 trials two times in three, by 20 one in three.
MIN_JUDGED = 40


class Verdict(StrEnum):
    """What is known of a proxy."""

    COUNTED = "a baseline"
    OPEN = "not known yet"
    PREDICTS = "says more than counting"
    DEMOTED = "demoted: no better than counting"


def verdict(one: Calibration) -> Verdict:
    """Returns whether a proxy beats parameter count and depth on the run's own trials.

    It does if the interval of its correlation given these leaves out 0; it is demoted if the
    interval does not and rests on at least `MIN_JUDGED` trials. Where neither is known, it is held
    against nothing, and its plain correlation counts.

    Example:
        >>> row = Calibration(proxy="snip", n=50, spearman=0.1, low=-0.2, high=0.4)
        >>> verdict(row).name
        'DEMOTED'
    """
    if one.proxy in COUNTED:
        return Verdict.COUNTED
    low, high = one.partial_low, one.partial_high
    if low is None or high is None:
        low, high = one.low, one.high
    if low > 0 or high < 0:
        return Verdict.PREDICTS
    return Verdict.DEMOTED if one.n >= MIN_JUDGED else Verdict.OPEN


def demoted(calibrations: Sequence[Calibration]) -> frozenset[str]:
    """Returns the names of the proxies that are not worth asking again."""
    return frozenset(c.proxy for c in calibrations if verdict(c) == Verdict.DEMOTED)


def proxy_weights(
    space: SearchSpace, board: Board, sources: Sequence[Source], lesson: Lesson
) -> dict[str, float]:
    """Returns the weight of each proxy in the model of the run, after its trials.

    In standard deviations of the scores for one of the proxy, all other proxies and the features
    held fixed: of two proxies that say the same, each has half of what one alone would have.
    """
    told = source_prior(space, sources)
    prior = with_proxies(told, board, tuple(sources), len(space.features))
    tried = [trial.architecture for trial in lesson.trials]
    features = board.beside(space.featurise(tried), tried)
    silent = with_proxies(None, board, (), len(space.features))
    weights = fit_hinted(space, lesson, prior, silent, features).weights()
    return dict(zip(board.proxies, weights[-len(board.proxies) :].tolist(), strict=True))


def with_weights(
    calibrations: Sequence[Calibration], weights: dict[str, float]
) -> list[Calibration]:
    """Returns the calibrations with each proxy's weight in the model."""
    return [replace(one, weight=weights.get(one.proxy)) for one in calibrations]
