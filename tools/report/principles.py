"""The principles of a run as it leaves them: newest version, evidence, lineage, cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Evidence, Origin, PrincipleVersion, Standing, Trial
from vitruvius.tools.report.facts import PrincipleReport

_SHOWN_FIRST = (
    Standing.SUPPORTED,
    Standing.WEAKENED,
    Standing.CONTRADICTED,
    Standing.CANDIDATE,
    Standing.RETIRED,
)


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
