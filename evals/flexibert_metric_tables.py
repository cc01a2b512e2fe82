"""What the metrics of FlexiBERT networks say of their GLUE scores, beyond depth and hidden size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from vitruvius.evals.statistics import Interval
from vitruvius.spaces.flexibert import FlexiBertTrained
from vitruvius.spaces.space import FloatArray
from vitruvius.tasks.flexibert import MEAN, Published

DRAWS = 400  # of the bootstrap
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
    draws = _draws([one.text for one in trained])
    stored = {one.metric: one.ranked for one in columns if one.form == "stored"}
    found = []
    for column in columns:
        values = column.ranked
        groups = tuple(_tau(values[group == g], score[group == g]) for g in np.unique(group))
        found.append(
            Judged(
                metric=column.metric,
                form=column.form,
                missing=int(np.isneginf(values).sum()),
                as_stored=_tau(values, stored[column.metric]) if column.metric in stored else None,
                tau=_interval(lambda rows, v=values: _tau(v[rows], score[rows]), draws),
                partial=_interval(
                    lambda rows, v=values: partial(v[rows], score[rows], group[rows]), draws
                ),
                within=_interval(
                    lambda rows, v=values: within(v[rows], score[rows], group[rows]), draws
                ),
                groups=groups,
            )
        )
    return found


def within(values: FloatArray, score: FloatArray, group: Rows) -> float:
    """Returns Kendall's tau within groups, averaged by their numbers of pairs."""
    total = pairs = 0.0
    for each in np.unique(group):
        chosen = group == each
        number = chosen.sum() * (chosen.sum() - 1) / 2
        total += number * _tau(values[chosen], score[chosen])
        pairs += number
    return total / pairs if pairs else 0.0


def partial(values: FloatArray, score: FloatArray, group: Rows) -> float:
    """Returns the correlation of ranks [N] after each group's mean is taken away."""
    left, right = (_centred(rankdata(each), group) for each in (values, score))
    norm = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / norm if norm > 1e-9 * len(values) else 0.0


def _centred(ranks: FloatArray, group: Rows) -> FloatArray:
    means = np.bincount(group, weights=ranks) / np.maximum(np.bincount(group), 1)
    centred: FloatArray = ranks - means[group]
    return centred


def _tau(values: FloatArray, score: FloatArray) -> float:
    """Returns Kendall's tau; 0 where one side is constant, which says nothing."""
    if len(values) < 2 or np.ptp(rankdata(values)) == 0 or np.ptp(score) == 0:
        return 0.0
    return float(kendalltau(rankdata(values), score).statistic)


def _draws(networks: Sequence[str]) -> list[Rows]:
    """Returns all rows, and then draws of distinct networks with all their rows."""
    _, index = np.unique(networks, return_inverse=True)
    rows = [np.flatnonzero(index == one) for one in range(index.max() + 1)]
    rng = np.random.default_rng(0)
    picks = (rng.integers(len(rows), size=len(rows)) for _ in range(DRAWS))
    return [np.arange(len(networks)), *(np.concatenate([rows[p] for p in pick]) for pick in picks)]


def _interval(statistic: Callable[[Rows], float], draws: Sequence[Rows]) -> Interval:
    value, *drawn = map(statistic, draws)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value=value, low=float(low), high=float(high))


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
