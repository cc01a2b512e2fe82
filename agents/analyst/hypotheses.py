"""The rules that the analyst may think of in a space: each a way to split it in two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    holds,
)
from vitruvius.spaces.space import BoolArray, SearchSpace, reference_features

THRESHOLDS = 6  # at most so many per feature, at quantiles of the sampler
RARE = 0.005  # a side smaller than this share of the space is not worth a rule
MAX_PAIRS = 800  # of conditions at two slots


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypotheses:
    """Conditions and which of the reference sample meet them: `met` [H, M]."""

    conditions: tuple[tuple[Condition, ...], ...]
    met: BoolArray

    @cached_property
    def columns(self) -> NDArray[np.float32]:
        """`met` as numbers, to be multiplied [H, M]."""
        return self.met.astype(np.float32)


@lru_cache(maxsize=8)
def hypotheses(space: SearchSpace) -> Hypotheses:
    """Returns single conditions of every kind, then pairs of choices at two slots.

    Of conditions that split the reference sample alike the first stays.
    """
    reference = reference_features(space)
    singles = list(_single(space))
    pairs = itertools.islice(_pairs(space), MAX_PAIRS)
    seen: set[bytes] = set()
    kept: list[tuple[Condition, ...]] = []
    masks: list[BoolArray] = []
    for conditions in itertools.chain(((single,) for single in singles), pairs):
        met = holds(Rule(stance="require", all=conditions), space, reference)
        if not RARE <= met.mean() <= 1 - RARE:
            continue
        side = met if met[0] else ~met  # a split and its mirror are one hypothesis
        if side.tobytes() not in seen:
            seen.add(side.tobytes())
            kept.append(conditions)
            masks.append(met)
    found = np.array(masks, dtype=np.bool_).reshape(len(masks), len(reference))
    return Hypotheses(conditions=tuple(kept), met=found)


def _single(space: SearchSpace) -> Iterator[Condition]:
    reference = reference_features(space)
    for slot in space.slots:
        if not slot.is_ordinal:
            for choice in slot.names:
                yield SlotCondition(slot=slot.name, choices=(choice,))
    for column, feature in enumerate(space.features):
        if feature.choice is not None:
            continue
        values = np.unique(reference[:, column])
        if feature.kind == "ordinal" and len(values) > THRESHOLDS:
            yield TrendCondition(feature=feature.name, trend="up")
        if len(values) > THRESHOLDS:
            steps = np.linspace(0, 1, THRESHOLDS + 2)[1:-1]
            values = np.unique(np.quantile(reference[:, column], [0, *steps], method="lower"))
        for below, above in itertools.pairwise(values.tolist()):
            if below <= 0 < above:
                yield RangeCondition(feature=feature.name, at_most=below)
            else:
                yield RangeCondition(feature=feature.name, at_least=above)


def _pairs(space: SearchSpace) -> Iterator[tuple[Condition, ...]]:
    named = [slot for slot in space.slots if not slot.is_ordinal]
    for one, other in itertools.combinations(named, 2):
        for first, second in itertools.product(one.names, other.names):
            yield (
                SlotCondition(slot=one.name, choices=(first,)),
                SlotCondition(slot=other.name, choices=(second,)),
            )
