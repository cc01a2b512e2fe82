"""The effect of every feature of a space, by the model of a run's trials."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from vitruvius.memory.evidence.contrasts import best_of_draws, contrast, witnesses
from vitruvius.memory.evidence.effects import ALPHA, MIN_TRIALS, discoveries
from vitruvius.memory.evidence.population import describe_population
from vitruvius.memory.model.ranking import Lesson
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, TrendCondition, holds
from vitruvius.spaces.space import Feature, SearchSpace, reference_features
from vitruvius.tasks.task import Metric


@dataclass(frozen=True, kw_only=True)
class FeatureEffect:
    """What having a feature is worth; of a number, being on the upper side of its median.

    Measured as the effect of a principle is (`memory.records.Evidence`), but once and with a plain
    95 % interval. `is_clear`: a discovery among all features at a false rate of 10 %.
    """

    feature: Feature
    rule: Rule
    effect: float  # normal-score units, positive is good
    low: float
    high: float
    points: float | None  # in the metric's unit
    n_in: int
    n_out: int
    is_clear: bool
    supporting: tuple[int, ...]  # trial numbers, at most 10 each
    contradicting: tuple[int, ...]


def feature_effects(space: SearchSpace, metric: Metric, lesson: Lesson) -> list[FeatureEffect]:
    """Returns the effect of every feature that varies in the space, the strongest first.

    Empty below `MIN_TRIALS` trials. Deterministic.
    """
    if len(lesson.trials) < MIN_TRIALS:
        return []
    population = describe_population(space, lesson)
    reference = reference_features(space)
    tried = space.featurise([trial.architecture for trial in lesson.trials])
    top = best_of_draws(population)
    rows = []
    for feature in space.features:
        rule = rule_of(feature)
        there, here = holds(rule, space, reference), holds(rule, space, tried)
        one = contrast(population, there, here, top, metric)
        if math.isfinite(one.sd):
            rows.append((feature, rule, here, one))
    p_values = [2 * float(ndtr(-abs(one.effect) / max(one.sd, 1e-12))) for *_, one in rows]
    clear = discoveries(p_values, len(rows))
    found = []
    for (feature, rule, here, one), is_clear in zip(rows, clear, strict=True):
        half = float(-ndtri(ALPHA / 2)) * one.sd
        supporting, contradicting = witnesses(population, here)
        found.append(
            FeatureEffect(
                feature=feature,
                rule=rule,
                effect=one.effect,
                low=one.effect - half,
                high=one.effect + half,
                points=one.points,
                n_in=int(here.sum()),
                n_out=int((~here).sum()),
                is_clear=is_clear,
                supporting=supporting,
                contradicting=contradicting,
            )
        )
    return sorted(found, key=lambda one: (-abs(one.effect), one.feature.name))


def rule_of(feature: Feature) -> Rule:
    """Returns the rule that a feature's effect is that of: it is there, or above its median.

    Example:
        >>> rule_of(Feature(name="depth", kind="count", description="")).all[0].trend
        'up'
    """
    condition: SlotCondition | RangeCondition | TrendCondition
    if feature.slot is not None and feature.choice is not None:
        condition = SlotCondition(slot=feature.slot, choices=(feature.choice,))
    elif feature.kind == "bool":
        condition = RangeCondition(feature=feature.name, at_least=1)
    else:
        condition = TrendCondition(feature=feature.name, trend="up")
    return Rule(stance="require", all=(condition,))
