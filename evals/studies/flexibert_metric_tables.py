"""What the metrics of FlexiBERT networks say of their GLUE scores, beyond depth and hidden size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vitruvius.evals.statistics import Interval
from vitruvius.spaces.space import FloatArray
from vitruvius.spaces.transformers.space import FlexiBertTrained
from vitruvius.tasks.tables.flexibert import MEAN, Published

DRAWS = 1000  # of the bootstrap
Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric in one form, network by network; None ranks below all others."""

    metric: str
    form: str
    values: Sequence[float | None]

    @property
    def ranked(self) -> FloatArray:
        """Values in which what is missing or not finite is the least."""
        numbers = np.array([np.nan if value is None else value for value in self.values])
        return np.where(np.isfinite(numbers), numbers, -np.inf)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A column beside the mean GLUE score.

    Attributes:
        missing: networks without a value.
        as_stored: Kendall's tau with the stored metric; None where there is none.
        tau: Kendall's tau with the score.
        partial: correlation of the ranks given depth, hidden size and both together.
        within: tau within the four groups of depth and hidden size, averaged by their pairs.
        groups: tau within each, from the smallest to the largest.
    """

    metric: str
    form: str
    missing: int
    as_stored: float | None
    tau: Interval
    partial: Interval
    within: Interval
    groups: tuple[float, ...]

    @property
    def verdict(self) -> str:
        """What can be said of the claim that more of the metric is a better network."""
        if self.within.low > 0:
            return "yes, beyond depth and hidden size"
        return "by depth and hidden size only" if self.tau.low > 0 else "no"


def columns_of(networks: Sequence[Published], columns: Sequence[Column]) -> list[Judged]:
    """Returns each column judged; intervals are 95 %, by bootstrap.

    What is drawn are distinct networks, each with all its trainings: these share every metric
    that is computed on the network, so that they are no evidence of their own.
    """
    score = np.array([one.scores[MEAN] for one in networks])
    trained = [FlexiBertTrained().canonical(one.architecture) for one in networks]
    sizes = [(len(one.spec["layers"]), one.spec["hidden"]) for one in trained]
    group = np.array([sorted(set(sizes)).index(size) for size in sizes])
    weights = _draws([one.text for one in trained])
    stored = {one.metric: one.ranked for one in columns if one.form == "stored"}
    found = []
    for column in columns:
        values, as_stored = column.ranked, None
        if column.metric in stored:
            as_stored = float(taus(values, stored[column.metric], weights[:1])[0])
        found.append(
            Judged(
                metric=column.metric,
                form=column.form,
                missing=int(np.isneginf(values).sum()),
                as_stored=as_stored,
                tau=_interval(taus(values, score, weights)),
                partial=_interval(partial(values, score, group, weights)),
                within=_interval(within(values, score, group, weights)),
                groups=tuple(
                    float(taus(values[rows], score[rows], weights[:1, rows])[0])
                    for rows in _members(group)
                ),
            )
        )
    return found


def taus(values: FloatArray, score: FloatArray, weights: FloatArray) -> FloatArray:
    """Returns Kendall's tau-b by how often each row is taken: weights [D, N] to [D].

    It is 0 where one side is constant, which says nothing.
    """
    left, right = _signs(values), _signs(score)
    agreeing, first, second = (
        ((weights @ each) * weights).sum(axis=1) for each in (left * right, left**2, right**2)
    )
    norm = np.sqrt(first * second)
    found: FloatArray = np.divide(agreeing, norm, out=np.zeros(len(weights)), where=norm > 0)
    return found


def within(values: FloatArray, score: FloatArray, group: Rows, weights: FloatArray) -> FloatArray:
    """Returns Kendall's tau within groups, averaged by their numbers of pairs: [D]."""
    total, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for rows in _members(group):
        taken = weights[:, rows].sum(axis=1)
        number = taken * (taken - 1) / 2
        total += number * taus(values[rows], score[rows], weights[:, rows])
        pairs += number
    found: FloatArray = total / np.maximum(pairs, 1)
    return found


def partial(values: FloatArray, score: FloatArray, group: Rows, weights: FloatArray) -> FloatArray:
    """Returns the correlation of ranks after each group's mean is taken away: [D]."""
    left, right = (_centred_ranks(each, group, weights) for each in (values, score))
    products = (
        (weights * one * other).sum(axis=1)
        for one, other in ((left, right), (left, left), (right, right))
    )
    both, first, second = products
    norm = np.sqrt(first * second)
    found: FloatArray = np.divide(both, norm, out=np.zeros(len(weights)), where=norm > 1e-6)
    return found


def _centred_ranks(values: FloatArray, group: Rows, weights: FloatArray) -> FloatArray:
    """Returns each row's rank in each draw, but for a constant, less its group's mean: [D, N]."""
    ranks: FloatArray = weights @ _signs(values).T / 2
    for rows in _members(group):
        taken = weights[:, rows]
        sums = (taken * ranks[:, rows]).sum(axis=1) / np.maximum(taken.sum(axis=1), 1)
        ranks[:, rows] -= sums[:, None]
    return ranks


def _signs(values: FloatArray) -> FloatArray:
    """Returns whether each row is above (1), equal to, or below (-1) each other: [N, N]."""
    ranks = rankdata(values)
    found: FloatArray = np.sign(ranks[:, None] - ranks[None, :])
    return found


def _members(group: Rows) -> list[Rows]:
    return [np.flatnonzero(group == each) for each in np.unique(group)]


def _draws(networks: Sequence[str]) -> FloatArray:
    """Returns how often each row is taken [1 + draws, N]: once, then by draws of networks."""
    _, index = np.unique(networks, return_inverse=True)
    number = index.max() + 1
    rng = np.random.default_rng(0)
    picks = (rng.integers(number, size=number) for _ in range(DRAWS))
    counts = [np.bincount(pick, minlength=number)[index] for pick in picks]
    return np.array([np.ones(len(networks)), *counts], dtype=np.float64)


def _interval(values: FloatArray) -> Interval:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(value=float(values[0]), low=float(low), high=float(high))


def printed(rows: Sequence[Judged]) -> str:
    """Returns the table in Markdown."""
    head = ("metric", "form", "none", "tau with stored", "tau", "partial", "within", "each group")
    lines = [(*head, "foretells?"), ("---",) * (len(head) + 1)]
    for one in rows:
        lines.append(
            (
                one.metric,
                one.form,
                str(one.missing),
                "-" if one.as_stored is None else f"{one.as_stored:.2f}",
                *(_words(each) for each in (one.tau, one.partial, one.within)),
                " / ".join(f"{tau:.2f}" for tau in one.groups),
                one.verdict,
            )
        )
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _words(interval: Interval) -> str:
    return f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"
