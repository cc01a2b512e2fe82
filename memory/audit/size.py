"""How large a space is: as it is counted, as it can be told apart, and as its sampler sees it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from vitruvius.memory.evidence.population import Population
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.spaces.counting import nominal_size
from vitruvius.spaces.space import (
    SearchSpace,
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
