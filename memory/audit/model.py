"""The model of the labelled architectures, fitted again to resamples of them and to dealt ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.memory.audit.factors import Factor, Factors
from vitruvius.memory.audit.shares import main_share, redrawn_share, total_share
from vitruvius.memory.evidence.contrasts import Population
from vitruvius.memory.model.gaussian_process import Surrogate
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import (
    Architecture,
    FloatArray,
    SearchSpace,
    distinct_reference,
    reference_features,
)

PAIRS = 400  # for each slot


@dataclass(frozen=True, kw_only=True, eq=False)
class Redrawn:
    """Features of draws [N, F], and by slot those of the draws with that slot drawn anew."""

    before: FloatArray
    after: Mapping[str, FloatArray]


@lru_cache(maxsize=8)
def redrawn(space: SearchSpace) -> Redrawn | None:
    """Returns draws with one slot drawn anew, or None for a space whose sampler is another.

    Slots are drawn before the canonical form is taken: in it, one slot may follow from others.
    """
    if not isinstance(space, SlotSpace) or type(space).sample is not SlotSpace.sample:
        return None
    rng = np.random.default_rng(1)
    drawn = [
        {slot.name: slot.names[rng.integers(len(slot.names))] for slot in space.slots}
        for _ in range(PAIRS)
    ]
    after = {}
    for slot in space.slots:
        changed = [{**spec, slot.name: slot.names[rng.integers(len(slot.names))]} for spec in drawn]
        after[slot.name] = _features_of(space, changed)
    return Redrawn(before=_features_of(space, drawn), after=after)


def _features_of(space: SlotSpace, specs: list[dict[str, str]]) -> FloatArray:
    return space.featurise([space.canonical(Architecture.of(spec)) for spec in specs])


RESAMPLES = 60  # of the labelled architectures, with replacement
DEALS = 20  # of a factor's values among the labelled architectures


@dataclass(frozen=True, kw_only=True, eq=False)
class Fits:
    """Models of one space; the first is that of all labels."""

    space: SearchSpace
    models: tuple[Surrogate, ...]

    def at(self, features: FloatArray) -> FloatArray:
        """Returns the expected score of the rows of a feature matrix by each model [B, N]."""
        plain = self.models[0].space.of(features)
        return np.array([model.at(features, plain).mean for model in self.models])

    def over_space(self) -> FloatArray:
        """Returns the expected scores of the reference sample [B, M]."""
        first, which = distinct_reference(self.space)
        return self.at(reference_features(self.space)[first])[:, which]

    def main(self, factor: Factor, values: FloatArray) -> FloatArray:
        """Returns the main shares of a factor; `values` are those of `over_space` [B]."""
        return main_share(values, factor.codes(reference_features(self.space)))

    def total(self, factor: Factor, values: FloatArray) -> FloatArray | None:
        """Returns the total shares [B] of a factor, or None where others cannot be held fixed."""
        drawn = redrawn(self.space)
        if drawn is not None:
            after = drawn.after.get(factor.name)
            return None if after is None else redrawn_share(self.at(drawn.before), self.at(after))
        others = Factors.of(self.space).beside(factor)
        return None if others is None else total_share(values, others)


def resampled(space: SearchSpace, population: Population) -> Fits:
    """Returns the model of all labels and of `RESAMPLES` resamples of them. Deterministic.

    Hyperparameters are those of all labels.
    """
    features = _features(space, population)
    whole = Surrogate.fit(space, features, population.scores)
    drawn = np.random.default_rng(0).integers(len(features), size=(RESAMPLES, len(features)))
    fits = [
        Surrogate.fit(space, features[rows], population.scores[rows], hyper=whole.hyper)
        for rows in drawn
    ]
    return Fits(space=space, models=(whole, *fits))


def dealt(space: SearchSpace, population: Population, whole: Surrogate, factor: Factor) -> Fits:
    """Returns models for which the factor's values were dealt at random among the labels.

    What it explains by them is what a factor without effect explains by chance.
    """
    features = _features(space, population)
    rng, columns = np.random.default_rng(0), list(factor.columns)
    fits = []
    for _ in range(DEALS):
        mixed = features.copy()
        mixed[:, columns] = features[rng.permutation(len(features))][:, columns]
        fits.append(Surrogate.fit(space, mixed, population.scores, hyper=whole.hyper))
    return Fits(space=space, models=tuple(fits))


def _features(space: SearchSpace, population: Population) -> FloatArray:
    return space.featurise([trial.architecture for trial in population.trials])
