"""The effect of rules and features by a run's trials: what a principle may claim, and may cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from vitruvius.memory.evidence.contrasts import (
    Contrast,
    best_of_draws,
    contrast,
    describe_population,
    witnesses,
)
from vitruvius.memory.model.ranking import Lesson, learn
from vitruvius.memory.records import Evidence, PrincipleVersion, Standing, Trial
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition, TrendCondition, holds
from vitruvius.spaces.space import Feature, SearchSpace, reference_features
from vitruvius.tasks.task import Metric

MIN_TRIALS = 4
MIN_SIDE = 2  # trials that a supported rule needs on either side
ALPHA = 0.05
FALSE_DISCOVERIES = 0.10  # Benjamini & Hochberg 1995
DOUBT = 1.64  # standard errors at which the randomised trials contradict the model
WIDEST = 8.0  # bound of an interval that says nothing, in normal-score units

Key = tuple[int, int]  # principle, version


def measure(
    *,
    run_id: str,
    space: SearchSpace,
    metric: Metric,
    trials: Sequence[Trial],
    versions: Sequence[PrincipleVersion],
    previous: Mapping[Key, Evidence],
    proposed_ever: int,
    region: Region | None = None,
) -> list[Evidence]:
    """Returns the evidence for each version from the run's own trials. Deterministic.

    Args:
        run_id: of the trials.
        space: whose sampler weights the effect.
        metric: gives the direction.
        trials: of the run, in order of number; see `ranking.quality` for those that count.
        versions: to be measured; each must fit the space.
        previous: last evidence of this run by principle and version, for standing and looks.
        proposed_ever: rules proposed so far, retired ones included; corrects for many tests.
        region: whose best 1 % a cut must keep; None: the whole space.

    Raises:
        ToolError: if a rule does not fit the space.
    """
    lesson = learn(trials, metric)
    if len(lesson.trials) < MIN_TRIALS or not versions:
        return []
    population = describe_population(space, lesson)
    reference = reference_features(space)
    features = space.featurise([trial.architecture for trial in lesson.trials])
    inside = region.mask(reference) if region is not None else None
    satisfied = [holds(version.rule, space, features) for version in versions]
    top = best_of_draws(population, inside)
    contrasts = [
        contrast(population, holds(v.rule, space, reference), met, top, metric)
        for v, met in zip(versions, satisfied, strict=True)
    ]
    looks = [_look(previous.get((v.principle, v.version)), trials[-1].number) for v in versions]
    p_values = [_p_value(c, look) for c, look in zip(contrasts, looks, strict=True)]
    discovered = discoveries(p_values, max(proposed_ever, len(versions)))
    rows = zip(versions, satisfied, contrasts, looks, p_values, discovered, strict=True)
    found = []
    for version, met, one, look, p_value, is_discovery in rows:
        half = float(-ndtri(spent_alpha(look) / 2)) * one.sd
        before = previous.get((version.principle, version.version))
        has_support = min(met.sum(), (~met).sum()) >= MIN_SIDE
        standing = _standing(version, before, one, half, is_discovery and has_support)
        low, high = _interval(before, standing, one.effect, half)
        supporting, contradicting = witnesses(population, met)
        found.append(
            Evidence(
                run_id=run_id,
                principle=version.principle,
                version=version.version,
                up_to=trials[-1].number,
                look=look,
                n_in=int(met.sum()),
                n_out=int((~met).sum()),
                effect=one.effect,
                low=low,
                high=high,
                p_value=p_value,
                doubly_robust=one.doubly_robust,
                points=one.points,
                top_loss=one.top_loss,
                top_loss_high=one.top_loss_high,
                kept=one.kept,
                standing=standing,
                supporting=supporting,
                contradicting=contradicting,
            )
        )
    return found


def spent_alpha(look: int) -> float:
    """Returns the error that look 1, 2, ... may spend; all looks together spend `ALPHA`."""
    return ALPHA * 6 / (math.pi * look) ** 2


def discoveries(p_values: Sequence[float], tests: int) -> list[bool]:
    """Returns which p-values are discoveries among `tests` at a rate of `FALSE_DISCOVERIES`."""
    order = np.argsort(p_values, kind="stable")
    limits = FALSE_DISCOVERIES * np.arange(1, len(p_values) + 1) / max(tests, 1)
    passed = np.flatnonzero(np.asarray(p_values)[order] <= limits)
    best = set(order[: passed[-1] + 1].tolist()) if len(passed) else set()
    return [i in best for i in range(len(p_values))]


def licenses_cut(evidence: Evidence, limit: float = 0.05) -> bool:
    """Returns whether a rule may cut the space: it is supported and keeps the best 1 %.

    Args:
        evidence: of the rule.
        limit: highest share of the best 1 % that the cut may remove, at the upper 90 % bound.
    """
    return evidence.standing == Standing.SUPPORTED and evidence.top_loss_high < limit


def lift(evidence: Evidence) -> float:
    """Returns how far the run's trials have moved the odds that the best satisfy the rule.

    1: the model expects them there as often as the space's own sampler would put them there.

    Args:
        evidence: of the rule.
    """
    if evidence.kept in (0.0, 1.0):
        return 1.0
    odds = (1 - evidence.top_loss) / max(evidence.top_loss, 1e-6)
    return odds * (1 - evidence.kept) / evidence.kept


def _look(before: Evidence | None, up_to: int) -> int:
    if before is None:
        return 1
    return before.look if before.up_to == up_to else before.look + 1


def _p_value(one: Contrast, look: int) -> float:
    """Returns the two-sided p-value, corrected for the looks taken so far."""
    if not math.isfinite(one.sd):
        return 1.0
    alone = 2 * float(ndtr(-abs(one.effect) / max(one.sd, 1e-12)))
    return min(1.0, alone * ALPHA / spent_alpha(look))


def _standing(
    version: PrincipleVersion,
    before: Evidence | None,
    one: Contrast,
    half: float,
    is_discovery: bool,
) -> Standing:
    """Returns the standing: hard to win, and lost when a plain interval reaches zero.

    Intervals widen with every look, so holding on to the one that won support would end it
    without any trial against the rule.
    """
    if version.edit == "retire":
        return Standing.RETIRED
    was = before.standing if before is not None else Standing.CANDIDATE
    if _is_doubted(one):
        is_discovery = False
    if is_discovery and one.effect - half > 0:
        return Standing.SUPPORTED
    if is_discovery and one.effect + half < 0:
        return Standing.CONTRADICTED
    plain = float(-ndtri(ALPHA / 2)) * one.sd
    if was == Standing.SUPPORTED and one.effect - plain > 0 and not _is_doubted(one):
        return Standing.SUPPORTED
    if was in (Standing.SUPPORTED, Standing.WEAKENED):
        return Standing.WEAKENED
    return Standing.CANDIDATE


def _interval(
    before: Evidence | None, standing: Standing, effect: float, half: float
) -> tuple[float, float]:
    """Returns the interval of the effect; of a rule that keeps its support, with that of before.

    The looks share one error rate, so the truth lies in all of their intervals at once, and in
    their intersection.
    """
    low, high = max(effect - half, -WIDEST), min(effect + half, WIDEST)
    if before is None or not before.standing == standing == Standing.SUPPORTED:
        return low, high
    narrow = max(low, before.low), min(high, before.high)
    return narrow if narrow[0] < effect < narrow[1] else (low, high)


def _is_doubted(one: Contrast) -> bool:
    """Returns whether the randomised trials contradict the sign of the model's effect."""
    if one.doubly_robust is None:
        return False
    return one.doubly_robust * float(np.sign(one.effect)) < -DOUBT * one.doubly_robust_sd


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
