"""Factors: what an architecture can differ in, a slot or a feature that no slot stands for.

And how the space's sampler spreads its draws over each, before anything is labelled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.space import FloatArray, SearchSpace, Slot, reference_features

Codes = NDArray[np.int64]

BINS = 6  # of a factor with more values: equally many draws in each
FEW_VALUES = 8
COVERED = 0.5  # share of draws with a twin in all other factors from which these can be held fixed
FOLLOWS = 1e-3  # share of a factor's variance that may be left for it to follow from others


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor and its columns of the feature matrix: one number, or one column per choice.

    A derived factor follows from the others, as a parameter count follows from the sizes.
    """

    name: str
    columns: tuple[int, ...]
    edges: tuple[float, ...] = ()  # between the bins of a factor with many values
    is_derived: bool = False

    def values(self, features: FloatArray) -> FloatArray:
        """Returns the factor's value for the rows of a feature matrix [N, F]: [N]."""
        chosen = features[:, list(self.columns)]
        return chosen[:, 0] if len(self.columns) == 1 else chosen.argmax(axis=1).astype(float)

    def codes(self, features: FloatArray) -> Codes:
        """Returns a whole number for each row: equal where the factor's value, or bin, is."""
        values = self.values(features)
        if self.edges:
            return np.searchsorted(np.array(self.edges), values, side="right")
        return np.unique(values, return_inverse=True)[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Factors:
    """The factors of a space: its slots, then its other features; and who may be held fixed."""

    every: tuple[Factor, ...]
    space: SearchSpace

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, space: SearchSpace) -> Factors:
        """Returns the factors of a space.

        In a space with slots every other feature is derived. In one without, a feature is where
        the draws that agree in all features of fewer values agree in it too.
        """
        reference = reference_features(space)
        found = [_of_slot(space, slot) for slot in space.slots]
        loose = [
            _of_column(feature.name, column, reference[:, column])
            for column, feature in enumerate(space.features)
            if feature.slot is None
        ]
        if found:
            return cls(every=(*found, *map(_derived, loose)), space=space)
        basis: list[Factor] = []
        for factor in sorted(loose, key=lambda each: len(np.unique(each.values(reference)))):
            if not _follows(factor, basis, reference):
                basis.append(factor)
        every = [factor if factor in basis else _derived(factor) for factor in loose]
        return cls(every=tuple(every), space=space)

    def beside(self, factor: Factor) -> Codes | None:
        """Returns which of the reference sample agree in all other factors; None of a derived."""
        if factor.is_derived:
            return None
        others = [other for other in self.every if not other.is_derived and other != factor]
        return _groups(others, reference_features(self.space))


def _groups(chosen: list[Factor], features: FloatArray) -> Codes:
    """Returns a number for each row: equal where all the factors' exact values are [N]."""
    if not chosen:
        return np.zeros(len(features), dtype=np.int64)
    values = np.column_stack([factor.values(features) for factor in chosen]).round(9)
    return np.asarray(np.unique(values, axis=0, return_inverse=True)[1]).ravel()


def _of_slot(space: SearchSpace, slot: Slot) -> Factor:
    columns = tuple(i for i, feature in enumerate(space.features) if feature.slot == slot.name)
    if len(columns) != 1:
        return Factor(name=slot.name, columns=columns)
    return _of_column(slot.name, columns[0], reference_features(space)[:, columns[0]])


def _of_column(name: str, column: int, drawn: FloatArray) -> Factor:
    if len(np.unique(drawn)) <= FEW_VALUES:
        return Factor(name=name, columns=(column,))
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = np.unique(np.quantile(drawn, inner, method="lower"))
    return Factor(name=name, columns=(column,), edges=tuple(edges.tolist()))


def _derived(factor: Factor) -> Factor:
    return replace(factor, is_derived=True)


def _follows(factor: Factor, basis: list[Factor], reference: FloatArray) -> bool:
    """Returns whether rows that agree in the basis agree in the factor."""
    values = factor.values(reference)
    if not basis or values.std() == 0:
        return False
    within, covered = spread_within(values[None], _groups(basis, reference))
    return covered >= COVERED and float(within[0]) <= FOLLOWS * float(values.var())


def spread_within(values: FloatArray, group: Codes) -> tuple[FloatArray, float]:
    """Returns the mean variance within groups [B] of values [B, N], and the share of rows used.

    Groups of one row say nothing and are left out.
    """
    count = np.bincount(group)
    sums = _sums(values, group, len(count))
    squares = _sums(values**2, group, len(count))
    known = count > 1
    if not known.any():
        return np.zeros(len(values)), 0.0
    n = count[known]
    variance = (squares[:, known] - sums[:, known] ** 2 / n) / (n - 1)
    return np.maximum(variance, 0) @ n / n.sum(), float(n.sum() / len(group))


def _sums(values: FloatArray, group: Codes, count: int) -> FloatArray:
    return np.array([np.bincount(group, weights=row, minlength=count) for row in values])


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How many values a factor takes, and the share of draws with the most common one."""

    name: str
    is_derived: bool
    values: int
    most_common: float


def spreads(space: SearchSpace) -> list[Spread]:
    """Returns the spread of every factor, in the order of the space."""
    reference = reference_features(space)
    found = []
    for factor in Factors.of(space).every:
        _, counts = np.unique(factor.values(reference).round(9), return_counts=True)
        found.append(
            Spread(
                name=factor.name,
                is_derived=factor.is_derived,
                values=len(counts),
                most_common=float(counts.max() / counts.sum()),
            )
        )
    return found
