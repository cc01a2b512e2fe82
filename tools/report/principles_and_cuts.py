"""The principles of a run as it leaves them, and its cuts: what they saved and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vitruvius.memory.decisions import Decision
from vitruvius.memory.evidence.contrasts import best_of_draws, contrast, describe_population
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import CutRecord, Evidence, Origin, PrincipleVersion, Standing, Trial
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import SearchSpace, reference_features
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import CutReport, PrincipleReport

_SHOWN_FIRST = (
    Standing.SUPPORTED,
    Standing.WEAKENED,
    Standing.CONTRADICTED,
    Standing.CANDIDATE,
    Standing.RETIRED,
)

LEAST_FITTED = 4  # trials of a model that has something to say


def principles_of(ledger: Ledger, run_id: str, trials: Sequence[Trial]) -> list[PrincipleReport]:
    """Returns the run's principles, those given up included; the best supported come first."""
    looks = ledger.evidence.of(run_id)
    own = ledger.runs.lineage(run_id)
    rewritten = _rewritten(ledger, run_id, trials)
    latest = ledger.evidence.latest(run_id)
    adopted = {adoption.version: adoption for adoption in ledger.principles.adopted(run_id)}
    licensed: dict[str, list[int]] = {}
    for cut in ledger.cuts.of(run_id):
        licensed.setdefault(cut.principle.split(".")[0], []).append(cut.number)
    reports = []
    for version in ledger.principles.newest(run_id):
        evidence = latest.get((version.principle, version.version))
        if version.edit == "retire":  # what the last version that was measured had shown
            measured = [v for principle, v in latest if principle == version.principle]
            evidence = latest[version.principle, max(measured)] if measured else None
        source = adopted.get(version.name)
        lineage = [
            v for v in ledger.principles.versions(version.principle) if v.version <= version.version
        ]
        reports.append(
            PrincipleReport(
                version=version,
                standing=_standing(version, evidence),
                evidence=evidence,
                lineage=lineage,
                written=tuple(rewritten.get(v.step, 0) if v.run_id in own else 0 for v in lineage),
                looks=[look for look in looks if look.principle == version.principle],
                trust=source.trust if source else None,
                source_effect=source.source_effect if source else None,
                cuts=tuple(licensed.get(f"P{version.principle}", ())),
            )
        )
    return sorted(reports, key=_rank)


def _rewritten(ledger: Ledger, run_id: str, trials: Sequence[Trial]) -> Mapping[int, int]:
    """Returns the last trial that was known at each rewriting of the principles, by its number."""
    searched = [
        trial.number
        for trial in trials
        if trial.origin not in (Origin.CONTROL, Origin.CONFIRM) and not trial.status.is_open
    ]
    marks = ledger.steps.marks(run_id, "verified")
    closed = {mark.step: int(mark.data.get("closed", 0)) for mark in marks}
    return {step: searched[n - 1] for step, n in closed.items() if 0 < n <= len(searched)}


def _standing(version: PrincipleVersion, evidence: Evidence | None) -> Standing:
    if version.edit == "retire":
        return Standing.RETIRED
    return evidence.standing if evidence else Standing.CANDIDATE


def _rank(report: PrincipleReport) -> tuple[int, float, int]:
    effect = report.evidence.effect if report.evidence else 0.0
    return _SHOWN_FIRST.index(report.standing), -abs(effect), report.version.principle


def audits_of(
    cuts: Sequence[CutRecord],
    trials: Sequence[Trial],
    decisions: Sequence[Decision],
    space: SearchSpace,
    metric: Metric,
    lesson: Lesson,
    best: Trial | None,
) -> list[CutReport]:
    """Returns each cut with what it saved and what is known of the part that it removes.

    Args:
        cuts: of the run, those undone included.
        trials: of the run.
        decisions: of the run: they say when a trial was chosen.
        space: of the run.
        metric: gives the direction.
        lesson: the trials that train the model of the run.
        best: the trial that found the answer, if any.
    """
    closed = [trial for trial in trials if not trial.status.is_open]
    features = space.featurise([trial.architecture for trial in closed])
    if not closed:
        features = reference_features(space)[:0]
    steps = {decision.id: decision.step for decision in decisions}
    made = []
    for cut in cuts:
        inside = holds(cut.rule, space, features)
        outside = [trial for trial, kept in zip(closed, inside, strict=True) if not kept]
        during = [trial for trial in closed if _was_chosen_under(cut, trial, steps)]
        removed = 1 - float(holds(cut.rule, space, reference_features(space)).mean())
        made.append(
            CutReport(
                cut=cut,
                outside=tuple(trial.number for trial in outside),
                best_outside=_best(outside, metric),
                as_good_outside=_as_good(outside, metric, best),
                removed=removed,
                during=tuple(trial.number for trial in during),
                spared=removed * len(during),
                spared_s=removed * sum(t.train_s or 0.0 for t in during if not t.reused),
                loss_now=_loss(cut.rule, space, metric, lesson),
            )
        )
    return made


def _was_chosen_under(cut: CutRecord, trial: Trial, steps: Mapping[int, int]) -> bool:
    """Returns whether a trial was chosen while the cut was in force; uniform draws ignore cuts."""
    step = steps.get(trial.decision_id) if trial.decision_id is not None else None
    if step is None or trial.origin != Origin.ARCHITECT or step < cut.made_step:
        return False
    return cut.undone_step is None or step < cut.undone_step


def _best(outside: Sequence[Trial], metric: Metric) -> tuple[float, int] | None:
    done = [(t.value, t.number) for t in outside if t.value is not None]
    return max(done, key=lambda pair: (metric.sign * pair[0], -pair[1]), default=None)


def _as_good(outside: Sequence[Trial], metric: Metric, best: Trial | None) -> tuple[int, ...]:
    if best is None or best.value is None:
        return ()
    least = metric.sign * best.value
    return tuple(
        t.number for t in outside if t.value is not None and metric.sign * t.value >= least
    )


def _loss(
    rule: Rule, space: SearchSpace, metric: Metric, lesson: Lesson
) -> tuple[float, float] | None:
    if len(lesson.trials) < LEAST_FITTED:
        return None
    population = describe_population(space, lesson)
    there = holds(rule, space, reference_features(space))
    here = holds(rule, space, space.featurise([trial.architecture for trial in lesson.trials]))
    found = contrast(population, there, here, best_of_draws(population), metric)
    return found.top_loss, found.top_loss_high
