"""Cuts that an audit proposes: rules that keep the best and remove the most, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from vitruvius.agents.analyst.mining import CUT_LIMIT, Finding, Miner, hypotheses, subject_of
from vitruvius.memory.audit.factors import Factors
from vitruvius.memory.evidence.contrasts import (
    TOP_BOUND,
    IntArray,
    Population,
    best_of_draws,
    describe_population,
)
from vitruvius.memory.evidence.effects import discoveries
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Trial
from vitruvius.spaces.restricted import Inside
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import BoolArray, SearchSpace
from vitruvius.tasks.task import Metric

TENTH = 0.10  # what is asked to survive of what is left, besides the best 1 %
MAX_CUTS = 6
WORTH_CUTTING = 0.05  # share of what is left that one more cut must remove
LEAST_ROWS = 30  # inside what is left, to look for one more cut


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A cut of what the cuts before it leave.

    `removed` is the share that it removes of that, by the space's own sampler; `loss` the expected
    share of the best tenth of it that goes, and `loss_high` the upper 90 % bound.
    """

    rule: Rule
    effect: float
    rows: int
    removed: float
    loss: float
    loss_high: float


def propose_cuts(
    space: SearchSpace, trials: Sequence[Trial], metric: Metric, limit: float = CUT_LIMIT
) -> list[Proposed]:
    """Returns cuts in the order in which they are made, each on what the ones before leave.

    The model is made anew for what is left, from the rows there: what tells the best apart is
    easily drowned by what tells the worst. (60 rows of FlexiBERT: depth is cut at once, hidden
    size only when the shallow networks are gone from the model.)

    Args:
        space: its own sampler weighs what is removed.
        trials: labelled architectures.
        metric: gives the direction.
        limit: highest share of the best 1 %, and of the best tenth, of what is left that a cut may
            remove, at its upper 90 % bound; and that all cuts may remove together, as expected.
    """
    return list(_cuts(Inside(space), trials, metric, limit))


def _cuts(
    left: Inside, trials: Sequence[Trial], metric: Metric, limit: float
) -> Iterator[Proposed]:
    spent = 0.0
    while len(left.rules) < MAX_CUTS:
        inside = left.region.mask(left.featurise([trial.architecture for trial in trials]))
        here = [trial for trial, is_in in zip(trials, inside.tolist(), strict=True) if is_in]
        lesson = learn(here, metric)
        if len(lesson.trials) < LEAST_ROWS:
            return
        cut = _best(left, describe_population(left, lesson), limit, len(lesson.trials))
        if cut is None or spent + cut.loss > limit:
            return
        after = left.with_rule(cut.rule)
        if after.region.too_small():
            return
        yield cut
        left, spent = after, spent + cut.loss


def _best(left: Inside, population: Population, limit: float, rows: int) -> Proposed | None:
    """Returns the rule that removes most for its length and its risk, or None.

    Rules about what can be chosen go before those about derived features: a parameter count is
    the shadow of sizes, and cuts by it where they do not.
    """
    derived = {factor.name for factor in Factors.of(left).every if factor.is_derived}
    known = hypotheses(left)
    found = _discovered(Miner(left, population).screen(known), len(known.conditions))
    plain = [one for one in found if derived.isdisjoint(subject_of(one.rule))]
    tops = (best_of_draws(population), _best_tenth(population))
    for candidates in (plain, found):
        rated = []
        for one in candidates:
            losses = [_loss(one.kept, top) for top in tops]
            room = 1 - max(high for _, high in losses) / limit
            if one.removed >= WORTH_CUTTING and room > 0:
                rated.append((room * one.removed / len(one.rule.all) ** 0.5, one, losses[-1]))
        if rated:
            _, one, (mean, high) = max(rated, key=lambda row: row[0])
            return Proposed(
                rule=one.rule,
                effect=one.effect,
                rows=rows,
                removed=one.removed,
                loss=mean,
                loss_high=high,
            )
    return None


def _discovered(found: Sequence[Finding], tests: int) -> list[Finding]:
    """Returns the findings that are discoveries among so many tests.

    The rows that are left get few, and there are always rules that they seem to bear out.
    """
    p_values = [2 * float(ndtr(-one.effect / max(one.sd, 1e-12))) for one in found]
    return [one for one, ok in zip(found, discoveries(p_values, tests), strict=True) if ok]


def _best_tenth(population: Population) -> IntArray:
    """Returns which of the reference sample are the best tenth in each draw: [draws, best].

    Draws as they are: it is at the very top that a kernel must be doubted (`TOP_STRETCH`).
    """
    count = max(1, round(TENTH * population.draws.shape[1]))
    return np.argpartition(-population.draws, count - 1, axis=1)[:, :count]


def _loss(kept: BoolArray, top: IntArray) -> tuple[float, float]:
    """Returns the mean share of the best that is not kept, and its upper bound."""
    losses = (~kept)[top].mean(axis=1)
    mean = float(losses.mean())
    return mean, max(mean, float(np.quantile(losses, TOP_BOUND)))
