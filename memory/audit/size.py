"""How large a space is: as it is counted, as it can be told apart, and as its sampler sees it.

And what cuts remove of it, by every way to count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.memory.evidence.contrasts import Population
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.spaces.counting import nominal_size, specifications
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    distinct,
    distinct_reference,
    reference_features,
    reference_sample,
)

APART = 1.96  # standard deviations of the noise of a difference


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a space.

    `nominal` counts specifications and `distinct` canonical architectures, where they can be
    counted. `drawn` different ones came in `draws` draws of the sampler. `effective` is the number
    of equally likely architectures with the entropy of the sampler; None where hardly a draw
    repeats: then the sampler reaches at least `at_least`. `same_features` is the share of the
    different draws whose features another one has too.
    """

    nominal: int | None
    distinct: int | None
    draws: int
    drawn: int
    effective: float | None
    at_least: float
    same_features: float


def size_of(space: SearchSpace) -> Size:
    """Returns the size of a space, by its reference sample."""
    sample = reference_sample(space)
    members = space.members()
    counts = np.array(list(Counter(sample).values()))
    first, _ = distinct_reference(space)
    rows = reference_features(space)[first].round(9)
    same = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return Size(
        nominal=nominal_size(space),
        distinct=None if members is None else len(members),
        draws=len(sample),
        drawn=len(counts),
        effective=effective_number(counts),
        at_least=_by_collisions(counts),
        same_features=float((same[2][same[1].ravel()] > 1).mean()),
    )


def effective_number(counts: np.ndarray) -> float | None:
    """Returns exp(entropy) of a distribution from how often each kind was drawn.

    Chao & Shen 2003 (Environmental and Ecological Statistics 10, eq. 7), which allows for kinds
    not drawn. None where less than a tenth of the draws repeat one another: it says nothing then.

    Example:
        >>> round(effective_number(np.array([50, 50, 50, 50])), 1)
        4.0
    """
    n, once = int(counts.sum()), int((counts == 1).sum())
    if once > 0.9 * n:
        return None
    seen = (1 - once / n) * counts / n
    inclusion = 1 - (1 - seen) ** n
    return float(np.exp(-(seen * np.log(seen) / inclusion).sum()))


def _by_collisions(counts: np.ndarray) -> float:
    """Returns a lower 95 % bound of one over the chance that two draws are the same.

    Pairs of equal draws are taken as a Poisson count, with its upper bound after Garwood 1936.
    """
    from scipy.stats import chi2

    n = int(counts.sum())
    equal = int((counts * (counts - 1) // 2).sum())
    return math.comb(n, 2) / (float(chi2.ppf(0.95, 2 * (equal + 1))) / 2)


def indistinct_share(space: SearchSpace, population: Population) -> float:
    """Returns the share of pairs of different draws that one training each cannot tell apart.

    Their predicted scores differ by less than `APART` deviations of the difference's noise, which
    is what the model leaves unexplained: noise of the trainings, and what features do not say.
    """
    features = space.featurise([trial.architecture for trial in population.trials])
    noise = Surrogate.fit(space, features, population.scores).noise_sd
    first, _ = distinct_reference(space)
    values = np.sort(population.mean[first])
    reach = np.searchsorted(values, values + APART * math.sqrt(2) * noise, side="right")
    pairs = math.comb(len(values), 2)
    return float((reach - np.arange(1, len(values) + 1)).sum() / pairs) if pairs else 0.0


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Shares removed: of the sampler's draws, of labels, of all architectures, of specifications.

    None where these cannot be counted.
    """

    sampler: float
    sample: float
    distinct: float | None
    nominal: float | None


def removed_by(
    space: SearchSpace, rules: Sequence[Rule], sample: Sequence[Architecture]
) -> Removed:
    """Returns what rules remove together.

    Args:
        space: of the rules.
        rules: what is kept satisfies all of them.
        sample: labelled architectures.
    """

    def lost(features: FloatArray) -> BoolArray:
        kept = [holds(rule, space, features) for rule in rules]
        everything = np.ones(len(features), dtype=np.bool_)
        return np.asarray(~np.logical_and.reduce([everything, *kept]))

    counted = specifications(space)
    members = space.members() if counted is None else list(counted)
    of_members = None if members is None else lost(space.featurise(members))
    weights = None if counted is None else np.array(list(counted.values()), dtype=np.float64)
    return Removed(
        sampler=float(lost(reference_features(space)).mean()),
        sample=float(lost(space.featurise(distinct(sample))).mean()) if sample else 0.0,
        distinct=None if of_members is None else float(of_members.mean()),
        nominal=None
        if of_members is None or weights is None
        else float(of_members @ weights / weights.sum()),
    )
