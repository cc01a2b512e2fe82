"""Cuts that an audit proposes: rules that together keep the best and remove the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.agents.hypotheses import hypotheses
from vitruvius.agents.mining import CUT_LIMIT, Finding, Miner, subject_of
from vitruvius.memory.audit.factors import Factors
from vitruvius.memory.contrasts import TOP_BOUND, IntArray, best_of_draws
from vitruvius.memory.population import Population
from vitruvius.spaces.space import BoolArray, SearchSpace

TENTH = 0.10  # of the space's draws: what is asked to survive besides the best 1 %
MAX_CUTS = 6
WORTH_CUTTING = 0.03  # share of the space's draws that one more cut must remove


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Cuts in order, and what they leave together.

    `loss` is the expected share of the best tenth that all of them remove, `loss_high` its upper
    90 % bound.
    """

    findings: tuple[Finding, ...]
    kept: BoolArray  # of the reference sample [M]
    loss: float
    loss_high: float


def propose_cuts(space: SearchSpace, population: Population, limit: float = CUT_LIMIT) -> Joint:
    """Returns the cuts that labelled architectures bear out. Deterministic.

    One after another, that rule which removes most of what is left and whose effect is clear, as
    long as all rules together keep the best 1 % and the best tenth: the upper 90 % bound of the
    share removed must stay below `limit`. Rules about what can be chosen go before those about
    derived features: a parameter count is the shadow of sizes, and cuts by it where they do not.

    Args:
        space: own sampler weights what is removed.
        population: what the labels say of the space.
        limit: highest share of the best that may be lost.
    """
    miner = Miner(space, population)
    found = miner.screen(hypotheses(space))
    tops = (best_of_draws(population), _best_tenth(population))
    derived = {factor.name for factor in Factors.of(space).every if factor.is_derived}
    plain = [one for one in found if derived.isdisjoint(subject_of(one.rule))]
    kept = np.ones(len(population.mean), dtype=np.bool_)
    chosen: list[Finding] = []
    for candidates in (plain, found):
        while len(chosen) < MAX_CUTS:
            best = _next(candidates, kept, tops, limit)
            if best is None:
                break
            chosen.append(best)
            kept = kept & best.kept
    mean, high = _loss(kept, tops[-1])
    return Joint(findings=tuple(chosen), kept=kept, loss=mean, loss_high=high)


def _best_tenth(population: Population) -> IntArray:
    """Returns which of the reference sample are the best tenth in each draw: [draws, best].

    Draws as they are: it is at the very top that a kernel must be doubted (`TOP_STRETCH`). With
    the stretch FlexiBERT's hidden size was cut in 13 of 40 audits of 60 rows, without it in 38, and
    99.8 % of the best tenth of the other rows stayed.
    """
    count = max(1, round(TENTH * population.draws.shape[1]))
    return np.argpartition(-population.draws, count - 1, axis=1)[:, :count]


def _next(
    candidates: Sequence[Finding], kept: BoolArray, tops: Sequence[IntArray], limit: float
) -> Finding | None:
    """Returns the rule that removes most for its length and keeps the best, or None."""
    rated = [
        (float((kept & ~one.kept).mean()) / len(one.rule.all) ** 0.5, one) for one in candidates
    ]
    for gain, one in sorted(rated, key=lambda row: -row[0]):
        if gain < WORTH_CUTTING:
            return None
        if all(_loss(kept & one.kept, top)[1] < limit for top in tops):
            return one
    return None


def _loss(kept: BoolArray, top: IntArray) -> tuple[float, float]:
    """Returns the mean share of the best that is not kept, and its upper bound."""
    losses = (~kept)[top].mean(axis=1)
    mean = float(losses.mean())
    return mean, max(mean, float(np.quantile(losses, TOP_BOUND)))
