"""How much of a score's variance over a space each factor explains, by the model of a sample."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vitruvius.memory.audit.factors import Codes, Factor, Factors
from vitruvius.memory.audit.model import Fits, dealt, resampled
from vitruvius.memory.audit.shares import LEVEL, Share, main_share, pair_share, share_of
from vitruvius.memory.evidence.contrasts import Population
from vitruvius.memory.model.ranking import Lesson
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


DOMINATES = 0.5  # share of the variance from which one factor decides most of a score
CARRIES = 0.05  # share that a factor worth a rule explains
DEAD = 0.10  # share that a dead factor may have at most, at the upper end of its interval

Verdict = Literal["dominates", "carries", "echoes", "small", "unclear", "dead", "constant"]


@dataclass(frozen=True, kw_only=True)
class FactorShare:
    """What one factor explains: of the model over the space, and of the labels themselves.

    `main` is what it explains alone, `total` what is left to it when all others are held fixed;
    both over the space's own sampler. `members` is `main` with every architecture counted once.
    `sample` is read from the labels with no model in between, noise included.
    """

    name: str
    is_derived: bool
    main: Share
    total: Share | None
    members: float | None
    sample: float
    verdict: Verdict

    @property
    def strength(self) -> float:
        """The larger of the two shares."""
        return max(self.main.value, self.total.value if self.total is not None else 0.0)


def explain(
    space: SearchSpace, lesson: Lesson, population: Population
) -> tuple[list[FactorShare], list[Interaction]]:
    """Returns what each factor explains, most first, and what pairs explain together only.

    Args:
        space: its own sampler is the measure, unless said otherwise.
        lesson: the labelled architectures.
        population: what they say of the space.
    """
    fits, every = resampled(space, population), Factors.of(space).every
    values = fits.over_space()
    members = _over_members(space, fits, every)
    sample = space.featurise([trial.architecture for trial in lesson.trials])
    missed = missed_pairs(space, population, [factor for factor in every if not factor.is_derived])
    acting = {name for pair in missed for name in (pair.first, pair.second)}
    found = []
    for factor in every:
        main = share_of(fits.main(factor, values))
        left = fits.total(factor, values)
        total = None if left is None else share_of(left)
        verdict = _verdict(space, population, fits, factor, main, total)
        labels = main_share(lesson.scores[None], factor.codes(sample))
        found.append(
            FactorShare(
                name=factor.name,
                is_derived=factor.is_derived,
                main=main,
                total=total,
                members=members.get(factor.name),
                sample=float(labels[0]),
                verdict="unclear" if verdict == "dead" and factor.name in acting else verdict,
            )
        )
    found.sort(key=lambda one: -one.strength)
    by_name = {factor.name: factor for factor in every}
    strongest = [by_name[one.name] for one in found if not one.is_derived]
    return found, [*modelled_pairs(space, values, strongest), *missed]


def _over_members(space: SearchSpace, fits: Fits, every: Sequence[Factor]) -> dict[str, float]:
    """Returns each factor's main share with every architecture counted once, where they can be."""
    members = space.members()
    if members is None:
        return {}
    features = space.featurise(members)
    values = fits.models[0].at(features).mean[None]
    return {f.name: float(main_share(values, f.codes(features))[0]) for f in every}


def _verdict(
    space: SearchSpace,
    population: Population,
    fits: Fits,
    factor: Factor,
    main: Share,
    total: Share | None,
) -> Verdict:
    """Returns the verdict; only a factor that does not plainly carry is held against chance."""
    if np.ptp(factor.values(reference_features(space))) == 0:
        return "constant"
    if main.low >= DOMINATES:
        return "dominates"
    if main.low >= CARRIES and total is not None and total.high < CARRIES:
        return "echoes"
    if max(main.low, total.low if total is not None else 0.0) >= CARRIES:
        return "carries"
    chance = dealt(space, population, fits.models[0], factor)
    values = chance.over_space()
    by_chance, value, high = chance.main(factor, values), main.value, main.high
    if total is not None:
        left = chance.total(factor, values)
        assert left is not None
        by_chance, value = np.maximum(by_chance, left), max(value, total.value)
        high = max(high, total.high)
    if value > float(np.quantile(by_chance, LEVEL)):
        return "small"
    return "dead" if high < DEAD else "unclear"
