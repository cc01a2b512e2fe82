"""Proxies as hints: what they said of an architecture moves its expected score.

By how much, the run's trials learn: the weights of all proxies have one joint normal distribution,
so that proxies which say the same share one weight (in the spirit of Robust Bayesian optimisation
over training-free metrics: He et al. 2024, arXiv:2403.07591, section 4). Before any trial the
weights are what earlier runs found, shrunk by how alike those are; without such runs 0, with a
doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.prior import LEAST_SHARE, Hint, Mean, Prior
from vitruvius.memory.model.proxy_scores import Board, board_of
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.transfer.sources import Source
from vitruvius.spaces.space import FloatArray

DOUBT = 0.8  # prior standard deviation of what all proxies together say, in that of the scores
MOST_TOLD = 20.0  # an earlier run counts as at most so many trials of this one


@lru_cache(maxsize=8)
def with_proxies(
    told: Prior | None, board: Board, sources: tuple[Source, ...], width: int
) -> Prior:
    """Returns what sources and costs say with what the proxies said beside it.

    Its hints read features as `Board.beside` gives them.

    Args:
        told: of the space's own features, or None.
        board: what the proxies said.
        sources: other runs, for what the proxies were worth there.
        width: number F of the space's features.
    """
    weights, covariance = expected_weights(board, sources)
    count, many = len(board.proxies), 0 if told is None else len(told.hints)
    root = np.zeros((many + count, many + count))
    root[many:, many:] = np.linalg.cholesky(covariance)
    hints = tuple(_proxy_hint(name, width + place) for place, name in enumerate(board.proxies))
    open_share = 1 - float(np.var(board.said @ weights))
    if told is not None:
        root[range(many), range(many)] = told.doubts
        hints = (*(_of_features(hint, width) for hint in told.hints), *hints)
        open_share += told.share - 1
    worth = weights**2 + np.diag(covariance)

    def silence(features: FloatArray) -> FloatArray:
        return np.asarray(features[:, width + count : width + 2 * count] @ worth)

    return Prior(
        hints=hints,
        weights=np.concatenate([[] if told is None else told.weights, weights]),
        share=max(LEAST_SHARE, open_share),
        root=root,
        silence=silence,
    )


def expected_weights(board: Board, sources: Sequence[Source]) -> tuple[FloatArray, FloatArray]:
    """Returns mean [J] and covariance [J, J] of the proxies' weights before the run's trials.

    Each source adds its own trials to a prior of mean 0, as if they were `MOST_TOLD` times its
    trust at most (a power prior: Ibrahim and Chen 2000, section 2).
    """
    count = len(board.proxies)
    precision = np.eye(count) * (count / DOUBT**2)
    pull = np.zeros(count)
    for source in sources:
        there = board_of(source.scores)
        shared = () if there is None else tuple(p for p in board.proxies if p in there.proxies)
        lesson = learn(source.trials, source.metric)
        if there is None or not shared or not lesson.trials:
            continue
        mine = [board.proxies.index(proxy) for proxy in shared]
        columns = [there.proxies.index(proxy) for proxy in shared]
        said = there.at([trial.architecture for trial in lesson.trials])[:, columns]
        power = source.trust * min(1.0, MOST_TOLD / len(lesson.trials))
        precision[np.ix_(mine, mine)] += power * said.T @ said
        pull[mine] += power * said.T @ lesson.scores
    covariance = np.linalg.inv(precision)
    return covariance @ pull, (covariance + covariance.T) / 2


def _proxy_hint(name: str, column: int) -> Hint:
    return Hint(name=name, values=lambda features: features[:, column], trust=0.0)


def _of_features(hint: Hint, width: int) -> Hint:
    mean: Mean = hint.values
    return replace(hint, values=lambda features: mean(features[:, :width]))
