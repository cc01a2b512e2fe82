"""The principles of a run as it leaves them: newest version, evidence, lineage, cuts."""

from __future__ import annotations

from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import Evidence, PrincipleVersion, Standing
from vitruvius.tools.report.facts import PrincipleReport

_SHOWN_FIRST = (
    Standing.SUPPORTED,
    Standing.WEAKENED,
    Standing.CONTRADICTED,
    Standing.CANDIDATE,
    Standing.RETIRED,
)


def principles_of(ledger: Ledger, run_id: str) -> list[PrincipleReport]:
    """Returns the run's principles, those given up included; the best supported come first."""
    latest = ledger.latest_evidence(run_id)
    adopted = {adoption.version: adoption for adoption in ledger.adopted(run_id)}
    looks = ledger.evidence(run_id)
    licensed: dict[str, list[int]] = {}
    for cut in ledger.cuts(run_id):
        licensed.setdefault(cut.principle.split(".")[0], []).append(cut.number)
    reports = []
    for version in ledger.newest(run_id):
        evidence = latest.get((version.principle, version.version))
        if version.edit == "retire":  # what the last version that was measured had shown
            measured = [v for principle, v in latest if principle == version.principle]
            evidence = latest[version.principle, max(measured)] if measured else None
        source = adopted.get(version.name)
        reports.append(
            PrincipleReport(
                version=version,
                standing=_standing(version, evidence),
                evidence=evidence,
                lineage=[v for v in ledger.versions(version.principle)
                         if v.version <= version.version],
                looks=[e for e in looks if e.principle == version.principle],
                trust=source.trust if source else None,
                source_effect=source.source_effect if source else None,
                cuts=tuple(licensed.get(f"P{version.principle}", ())),
            )
        )  # fmt: skip
    return sorted(reports, key=_rank)


def _standing(version: PrincipleVersion, evidence: Evidence | None) -> Standing:
    if version.edit == "retire":
        return Standing.RETIRED
    return evidence.standing if evidence else Standing.CANDIDATE


def _rank(report: PrincipleReport) -> tuple[int, float, int]:
    effect = report.evidence.effect if report.evidence else 0.0
    return _SHOWN_FIRST.index(report.standing), -abs(effect), report.version.principle
