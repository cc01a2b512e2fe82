"""The board: what proxies said of architectures, on one scale, with what they left unsaid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.prior import LEAST_SHARE, Hint, Mean, Prior
from vitruvius.memory.model.ranking import learn, normal_scores
from vitruvius.memory.records import Score
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture, BoolArray, FloatArray

FEWEST = 8  # architectures with a score; among fewer, a rank says little
PRUDENCE = 10  # architectures' worth of belief that two proxies have nothing in common


@dataclass(frozen=True, kw_only=True, eq=False)
class Board:
    """Scores of J proxies for N architectures: normal scores among all that are known.

    `said` [N, J] is what a proxy said or, where it is silent, what the others let expect;
    `silence` [N, J] the variance that this leaves: 0 where it spoke, 1 where nothing is known.
    An architecture that is not on the board is neutral: mean 0, variance 1.
    """

    proxies: tuple[str, ...]
    places: Mapping[Architecture, int]
    said: FloatArray
    silence: FloatArray
    _last: list[tuple[Sequence[Architecture], FloatArray]] = field(default_factory=list)

    def beside(self, features: FloatArray, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the features [N, F] with what was said and its variance: [N, F + 2 J].

        Kept for the last sequence of architectures: that of all candidates is asked again and
        again.
        """
        if self._last and self._last[0][0] is architectures:
            return self._last[0][1]
        found = np.hstack([features, self.at(architectures)])
        if isinstance(architectures, tuple):
            self._last[:] = [(architectures, found)]
        return found

    def at(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns what was said and its variance, side by side [N, 2 J]."""
        rows = np.array([self.places.get(a, -1) for a in architectures], dtype=np.int64)
        found = np.concatenate([self.said[rows], self.silence[rows]], axis=1)
        found[rows < 0, : len(self.proxies)] = 0.0
        found[rows < 0, len(self.proxies) :] = 1.0
        return found

    def has(self, architecture: Architecture, proxies: Sequence[str]) -> bool:
        """Returns whether each of the proxies has been asked about an architecture."""
        row = self.places.get(architecture)
        if row is None:
            return not proxies
        known = dict(zip(self.proxies, self.silence[row] == 0, strict=True))
        return all(known.get(proxy, False) for proxy in proxies)


def board_of(scores: Sequence[Score]) -> Board | None:
    """Returns the board of scores, or None where no proxy tells architectures apart.

    A score without a value shares the last rank, degenerate or not to be had: a network of which
    nothing can be measured is no unknown one. A proxy with fewer than `FEWEST`
    scores, or with one and the same for all, is left out.
    """
    told: dict[str, dict[Architecture, float]] = {}
    for score in scores:
        value = -math.inf if score.value is None or not math.isfinite(score.value) else score.value
        told.setdefault(score.proxy, {})[score.architecture] = value
    kept = {name: told[name] for name in sorted(told) if _tells(list(told[name].values()))}
    if not kept:
        return None
    places = {a: row for row, a in enumerate(dict.fromkeys(a for by in kept.values() for a in by))}
    said = np.full((len(places), len(kept)), np.nan)
    for column, by in enumerate(kept.values()):
        rows = [places[architecture] for architecture in by]
        said[rows, column] = normal_scores(np.array(list(by.values())))
    filled, silence = _filled(said)
    return Board(proxies=tuple(kept), places=places, said=filled, silence=silence)


def _tells(values: Sequence[float]) -> bool:
    return len(values) >= FEWEST and len(set(values)) > 1


def correlations(said: FloatArray) -> FloatArray:
    """Returns the correlations of the columns [J, J] over the rows that both know, shrunk to 0.

    Args:
        said: normal scores, NaN where nothing is known [N, J].
    """
    known = ~np.isnan(said)
    values = np.where(known, said, 0.0)
    count = known.T.astype(np.float64) @ known
    spread = (values**2).T @ known  # of each column over the rows that the other knows
    shared = values.T @ values / np.sqrt(np.maximum(spread * spread.T, 1e-12))
    found = shared * count / (count + PRUDENCE)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _filled(said: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns each gap's expectation given what the others say of the row, and its variance."""
    unknown = np.isnan(said)
    filled, silence = np.where(unknown, 0.0, said), unknown.astype(np.float64)
    if not unknown.any():
        return filled, silence
    joint = _definite(correlations(said))
    for pattern in np.unique(unknown, axis=0):
        if pattern.any() and not pattern.all():
            rows = (unknown == pattern).all(axis=1)
            _fill(filled, silence, rows, pattern, joint)
    return filled, silence


def _fill(
    filled: FloatArray, silence: FloatArray, rows: BoolArray, gaps: BoolArray, joint: FloatArray
) -> None:
    known = ~gaps
    gain = np.linalg.solve(joint[np.ix_(known, known)], joint[np.ix_(known, gaps)])
    filled[np.ix_(rows, gaps)] = filled[np.ix_(rows, known)] @ gain
    left = 1 - np.einsum("kg,kg->g", joint[np.ix_(known, gaps)], gain)
    silence[np.ix_(rows, gaps)] = np.clip(left, 1e-6, 1.0)


def _definite(matrix: FloatArray) -> FloatArray:
    """Returns the nearest matrix that pairs of different rows can be estimated to without harm."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.01)) @ vectors.T)


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
