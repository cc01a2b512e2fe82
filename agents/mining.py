"""What the posterior of the run says of every rule that the analyst can think of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.memory.effects import TOP_BOUND, best_of_draws
from vitruvius.memory.population import Population
from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import BoolArray, FloatArray, SearchSpace

CLEAR = 2.0  # standard deviations from zero at which an effect is worth writing down
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


class Miner:
    """Judges rules by one posterior."""

    def __init__(self, space: SearchSpace, population: Population) -> None:
        self.space = space
        self.population = population
        self._best = best_of_draws(population)

    def judge(self, rules: Sequence[Rule]) -> list[Finding]:
        """Returns what the posterior says of rules, in their order."""
        reference = reference_features(self.space)
        kept = np.array([holds(rule, self.space, reference) for rule in rules])
        return self._judge(rules, kept) if rules else []

    def split(self, rules: Sequence[Rule], met: BoolArray) -> list[Finding]:
        """Returns the findings of `require` rules, each turned so that the kept side is better.

        A rule is turned to `avoid` where that keeps the better side.

        Args:
            rules: with stance `require`.
            met: which of the reference sample satisfy them [H, M].
        """
        good = (_contrasts(met) @ self.population.mean) > 0
        turned = [
            rule if up else Rule(stance="avoid", all=rule.all)
            for rule, up in zip(rules, good, strict=True)
        ]
        return self._judge(turned, np.where(good[:, None], met, ~met))

    def explained(self, kept: BoolArray, given: Sequence[BoolArray] = ()) -> float:
        """Returns the share of the model's variance over the space that a split explains.

        Args:
            kept: the split [M].
            given: splits that explain their part first.
        """
        mean = self.population.mean - self.population.mean.mean()
        before = _fit(mean, given)
        after = _fit(mean, [*given, kept])
        gain = float(before @ before) - float(after @ after)
        return max(gain, 0.0) / max(float(mean @ mean), 1e-12)

    def _judge(self, rules: Sequence[Rule], kept: BoolArray) -> list[Finding]:
        weights = _contrasts(kept)
        effects = weights @ self.population.mean
        deviations = self.population.deviations(weights, DRAWS)
        losses = (~kept)[:, self._best].mean(axis=2)  # [H, draws]
        high = np.quantile(losses, TOP_BOUND, axis=1)
        return [
            Finding(
                rule=rule,
                kept=kept[i],
                effect=float(effects[i]),
                sd=float(deviations[i]),
                top_loss_high=float(high[i]),
            )
            for i, rule in enumerate(rules)
        ]


def overlap(one: BoolArray, other: BoolArray) -> float:
    """Returns the correlation of two splits of the reference sample, 0 if one is trivial."""
    a, b = one - one.mean(), other - other.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def _contrasts(kept: BoolArray) -> FloatArray:
    """Returns weights [H, M] that give the mean where kept minus the mean elsewhere."""
    inner = np.maximum(kept.sum(axis=1, keepdims=True), 1)
    outer = np.maximum((~kept).sum(axis=1, keepdims=True), 1)
    return np.asarray(kept / inner - ~kept / outer)


def _fit(values: FloatArray, splits: Sequence[BoolArray]) -> FloatArray:
    """Returns what is left of values after least squares on splits."""
    if not splits:
        return values
    columns = np.array([split - split.mean() for split in splits], dtype=np.float64).T
    solution = np.linalg.lstsq(columns, values, rcond=None)[0]
    return np.asarray(values - columns @ solution)
