"""The rules that the analyst can think of in a space, and what the posterior says of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.evidence.contrasts import TOP_BOUND, Population, best_of_draws
from vitruvius.spaces.rules import (
    Condition,
    RangeCondition,
    Rule,
    SlotCondition,
    TrendCondition,
    holds,
)
from vitruvius.spaces.space import BoolArray, FloatArray, SearchSpace, reference_features

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


CUT_LIMIT = 0.05  # share of the best 1 % that a rule may lose to count as a cutting one
CLEAR = 2.0  # standard deviations from zero at which an effect is worth writing down
SLIVER = 0.02  # a split of which less is new, given others, explains nothing of its own
DRAWS = 64  # of the posterior, for a rule's deviation: a screen, measured exactly later


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule whose satisfied side is the better one, and what it would explain and cut."""

    rule: Rule
    kept: BoolArray  # of the reference sample [M]
    effect: float
    sd: float
    top_loss_high: float

    @property
    def is_clear(self) -> bool:
        return self.effect > CLEAR * self.sd

    @property
    def removed(self) -> float:
        """Share of the space that violates the rule."""
        return float(1 - self.kept.mean())

    @cached_property
    def unit(self) -> FloatArray:
        """The split centred and of unit length [M]; zero for a trivial one."""
        split = self.kept - self.kept.mean()
        return np.asarray(split / max(float(np.sqrt((split**2).sum())), 1e-12))


class Miner:
    """Judges rules by one posterior."""

    def __init__(self, space: SearchSpace, population: Population) -> None:
        self.space = space
        self.population = population
        self._best = best_of_draws(population)
        mean = population.mean - population.mean.mean()
        self._mean = mean / max(float(np.sqrt(mean @ mean)), 1e-12)  # of unit length
        few = population.draws[:DRAWS] - population.mean
        self._values = np.vstack([population.mean[None], few]).astype(np.float32)  # [1 + draws, M]

    def judge(self, rules: Sequence[Rule]) -> list[Finding]:
        """Returns what the posterior says of rules, in their order."""
        if not rules:
            return []
        reference = reference_features(self.space)
        kept = np.array([holds(rule, self.space, reference) for rule in rules])
        effects, deviations = self._contrasts(kept.astype(np.float32))
        return self._findings(rules, kept, effects, deviations)

    def screen(self, known: Hypotheses) -> list[Finding]:
        """Returns the clear findings among hypotheses, the kept side being the better one.

        A rule is `avoid` where the side that meets the conditions is the worse.
        """
        effects, deviations = self._contrasts(known.columns)
        clear = np.flatnonzero(np.abs(effects) > CLEAR * deviations)
        good = effects[clear] > 0
        rules = [
            Rule(stance="require" if up else "avoid", all=known.conditions[i])
            for i, up in zip(clear, good, strict=True)
        ]
        kept = np.where(good[:, None], known.met[clear], ~known.met[clear])
        return self._findings(rules, kept, np.abs(effects[clear]), deviations[clear])

    def explained(self, findings: Sequence[Finding], given: Sequence[Finding] = ()) -> FloatArray:
        """Returns the share of the model's variance over the space that each split explains.

        Args:
            findings: judged one by one.
            given: splits that explain their part first, together.
        """
        splits, left = unit_splits(findings, self._mean), self._mean
        length = np.ones(len(splits))
        if given:
            basis = np.linalg.qr(unit_splits(given, self._mean).T)[0]  # [M, G]
            left = left - basis @ (basis.T @ left)
            length = 1 - ((splits @ basis) ** 2).sum(axis=1)
        gains = (splits @ left) ** 2 / np.maximum(length, 1e-12)
        return np.where(length > SLIVER, gains, 0.0)

    def _contrasts(self, met: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
        """Returns mean and deviation of the effect of meeting conditions [H]; `met` is 0 or 1."""
        inner = (self._values @ met.T).astype(np.float64)
        count = met.sum(axis=1, dtype=np.float64)
        outer = self._values.sum(axis=1, keepdims=True) - inner
        contrasts = inner / np.maximum(count, 1) - outer / np.maximum(met.shape[1] - count, 1)
        return contrasts[0], contrasts[1:].std(axis=0)

    def _findings(
        self,
        rules: Sequence[Rule],
        kept: BoolArray,
        effects: FloatArray,
        deviations: FloatArray,
    ) -> list[Finding]:
        losses = (~kept)[:, self._best].mean(axis=2)  # [H, draws]
        highs = np.maximum(losses.mean(axis=1), np.quantile(losses, TOP_BOUND, axis=1))
        rows = zip(rules, kept, effects, deviations, highs, strict=True)
        return [
            Finding(
                rule=rule,
                kept=split,
                effect=float(effect),
                sd=float(deviation),
                top_loss_high=float(high),
            )
            for rule, split, effect, deviation, high in rows
        ]


def overlaps(findings: Sequence[Finding], others: Sequence[Finding]) -> FloatArray:
    """Returns the correlations of splits of the reference sample [len(findings), len(others)]."""
    if not findings or not others:
        return np.zeros((len(findings), len(others)))
    empty = np.empty(len(others[0].kept))
    return unit_splits(findings, empty) @ unit_splits(others, empty).T


def unit_splits(findings: Sequence[Finding], like: FloatArray) -> FloatArray:
    """Returns centred splits of unit length [H, M], M as in `like`; zero for trivial ones."""
    return np.array([finding.unit for finding in findings]).reshape(-1, len(like))


def subject_of(rule: Rule) -> tuple[str, ...]:
    """Returns the slots and features that a rule speaks of."""
    return tuple(c.slot if isinstance(c, SlotCondition) else c.feature for c in rule.all)


def measured(finding: Finding) -> str:
    """Returns the figures that a rationale may hold: they belong to the moment of the edit."""
    return (
        f"the model's contrast is {finding.effect:+.2f} (deviation {finding.sd:.2f}); "
        f"a cut would remove {finding.removed:.0%} of the space and at most "
        f"{finding.top_loss_high:.0%} of its best 1 %"
    )
