"""The audit of a space: what a sample of labelled architectures says of it, and may cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.agents.analyst.audit_cuts import Proposed, propose_cuts
from vitruvius.agents.analyst.phrases import statement
from vitruvius.graphs.offline.mining_rows import Mined, measure_rules
from vitruvius.memory.audit.pairs import Interaction
from vitruvius.memory.audit.removed import Removed, removed_by
from vitruvius.memory.audit.size import Size, indistinct_share, size_of
from vitruvius.memory.audit.spread import Spread, spreads
from vitruvius.memory.audit.variance import FactorShare, explain
from vitruvius.memory.edits import Add
from vitruvius.memory.evidence.population import describe_population
from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Evidence, Trial
from vitruvius.spaces.rules import Rule, words
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Metric, Task
from vitruvius.tools.calls.audit import LEAST_TO_AUDIT

FEWEST = LEAST_TO_AUDIT


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What one score says of the space: `name` is a metric or a proxy.

    `predicted` is the correlation of left-out scores with their prediction by the others.
    """

    name: str
    rows: int
    predicted: float
    indistinct: float
    factors: Sequence[FactorShare]
    interactions: Sequence[Interaction]


@dataclass(frozen=True, kw_only=True)
class AuditedCut:
    """A proposed cut, and what the rows say of its rule in the whole space."""

    cut: Proposed
    evidence: Evidence
    removed: Removed  # by this and the cuts before it

    @property
    def rule(self) -> Rule:
        return self.cut.rule


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found; `scores` is empty where nothing was labelled."""

    space: SearchSpace
    source: str
    size: Size
    spreads: Sequence[Spread]
    scores: Sequence[Explained] = ()
    cuts: Sequence[AuditedCut] = ()
    loss: float = 0.0  # expected share of the best tenth that all cuts remove


def explain_trials(
    space: SearchSpace, name: str, trials: Sequence[Trial], metric: Metric
) -> Explained | None:
    """Returns what labelled architectures say of a space; None of fewer than `FEWEST`."""
    lesson = learn(trials, metric)
    if len(lesson.trials) < FEWEST or np.ptp(lesson.scores) == 0:
        return None
    population = describe_population(space, lesson)
    shares, interactions = explain(space, lesson, population)
    predictions = population.scores - population.residuals
    has_spread = min(predictions.std(), population.scores.std()) > 0
    return Explained(
        name=name,
        rows=len(lesson.trials),
        predicted=float(np.corrcoef(predictions, population.scores)[0, 1]) if has_spread else 0.0,
        indistinct=indistinct_share(space, population),
        factors=shares,
        interactions=interactions,
    )


def audit_trials(
    space: SearchSpace, task: Task, trials: Sequence[Trial], *, source: str, seed: int = 0
) -> Audit:
    """Returns the audit of a space by labelled architectures. Deterministic.

    Args:
        space: its own sampler is the measure of everything.
        task: gives the metric and the name; asked for nothing.
        trials: closed ones.
        source: where they come from, in words.
        seed: of the evidence's run.
    """
    explained = explain_trials(space, task.metric.name, trials, task.metric)
    cuts = [] if explained is None else propose_cuts(space, trials, task.metric)
    measured = measure_cuts(space, task, trials, cuts, seed)
    sample = [trial.architecture for trial in learn(trials, task.metric).trials]
    kept = float(np.prod([1 - cut.loss for cut in cuts]))
    return Audit(
        space=space,
        source=source,
        size=size_of(space),
        spreads=spreads(space),
        scores=[] if explained is None else [explained],
        cuts=[
            AuditedCut(
                cut=cut,
                evidence=one.evidence,
                removed=removed_by(space, [each.rule for each in cuts[: place + 1]], sample),
            )
            for place, (cut, one) in enumerate(zip(cuts, measured, strict=True))
        ],
        loss=1 - kept,
    )


def measure_cuts(
    space: SearchSpace, task: Task, trials: Sequence[Trial], cuts: Sequence[Proposed], seed: int
) -> list[Mined]:
    """Returns the cuts as principles with their evidence in the whole space, in order."""
    return measure_rules(space, task, trials, edits_of(space, cuts), seed)


def edits_of(space: SearchSpace, cuts: Sequence[Proposed]) -> list[Add]:
    """Returns the edits that add cuts as principles."""
    edits = []
    for place, cut in enumerate(cuts):
        after = [words(before.rule) for before in cuts[:place]]
        where = f"of what satisfies {' and '.join(after)}" if after else "of the space"
        edits.append(
            Add(
                statement=statement(cut.rule, space),
                rule=cut.rule,
                rationale=(
                    f"audit: it removes {cut.removed:.0%} {where}, and at most "
                    f"{cut.loss_high:.0%} of the best tenth there ({cut.rows} rows, contrast "
                    f"{cut.effect:+.2f})"
                )[:600],
            )
        )
    return edits
