"""Interactions: what two factors explain only together, in the model and in what it leaves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.memory.audit.factors import Codes, Factor
from vitruvius.memory.audit.intervals import LEVEL, Share, share_of
from vitruvius.memory.audit.shares import main_share, pair_share
from vitruvius.memory.evidence.population import Population
from vitruvius.spaces.space import FloatArray, SearchSpace, reference_features

PAIRED = 10  # factors among which the model's interactions are looked for, the strongest
SHOWN = 0.03  # ranks bend what is additive by up to so much
LOOKED_AT = 24  # factors among which the residuals' are
SHUFFLES = 100  # of the residuals, whose largest share is what chance finds


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """What two factors explain only together; not `is_modelled`: the model has missed it.

    The share is of the variance over the space, of a missed one that among the labels.
    """

    first: str
    second: str
    share: Share
    is_modelled: bool = True


def modelled_pairs(
    space: SearchSpace, values: FloatArray, strongest: Sequence[Factor]
) -> list[Interaction]:
    """Returns the pairs that the model finds, most first.

    Args:
        space: of the factors.
        values: of the models at the reference sample [B, M]; the first row is that of all labels.
        strongest: factors, those that explain most first.
    """
    reference = reference_features(space)
    codes = {factor.name: factor.codes(reference) for factor in strongest[:PAIRED]}
    found = []
    for one, other in itertools.combinations(codes, 2):
        share = share_of(pair_share(values, codes[one], codes[other]))
        if share.low > 0 and share.value >= SHOWN:
            found.append(Interaction(first=one, second=other, share=share))
    return sorted(found, key=lambda pair: -pair.share.value)


def missed_pairs(
    space: SearchSpace, population: Population, basis: Sequence[Factor]
) -> list[Interaction]:
    """Returns the pairs that explain what the model leaves of left-out labels, beyond chance.

    All pairs together err in 5 % of audits: shares are held against the largest of shuffled
    residuals. Without this a pair of factors that act only together would pass for dead.

    Args:
        space: of the factors.
        population: its residuals are those of left-out labels.
        basis: factors that do not follow from others.
    """
    sample = space.featurise([trial.architecture for trial in population.trials])
    codes = {factor.name: factor.codes(sample) for factor in basis[:LOOKED_AT]}
    pairs = list(itertools.combinations(codes, 2))
    if not pairs:
        return []
    rng, left = np.random.default_rng(0), population.residuals
    rows = np.array([left, *(rng.permutation(left) for _ in range(SHUFFLES))])
    shares = np.array([main_share(rows, _together(codes[a], codes[b])) for a, b in pairs])
    limit = float(np.quantile(shares[:, 1:].max(axis=0), LEVEL))
    scale = float(left.var() / max(population.scores.var(), 1e-12))
    found = [
        Interaction(
            first=a,
            second=b,
            share=Share(value=v * scale, low=max(v - limit, 0) * scale, high=min(v * scale, 1.0)),
            is_modelled=False,
        )
        for (a, b), v in zip(pairs, shares[:, 0].tolist(), strict=True)
        if v > limit
    ]
    return sorted(found, key=lambda pair: -pair.share.value)


def _together(one: Codes, other: Codes) -> Codes:
    return np.asarray(one * (int(other.max(initial=0)) + 1) + other)
