"""What a run took from others, and what became of it, from ledger rows."""

from __future__ import annotations

from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Mark, Run
from vitruvius.tools.report.facts import RecalledReport, SourceReport, TransferReport


def transfer_of(ledger: Ledger, run: Run) -> TransferReport | None:
    """Returns the sources and the recalled principles of a run; None before its recall."""
    marks = ledger.steps.marks(run.id, "recalled")
    if not marks:
        return None
    told = marks[0].data
    weights = _weights(ledger.steps.marks(run.id, "transferred"))
    return TransferReport(
        asked=tuple(run.settings.get("principles_from", ("memory",))),
        sources=[
            SourceReport(
                run=ledger.runs.get(one["run"]),
                trials=int(one["up_to"]),
                trust=float(one["trust"]),
                weight=weights.get(one["run"]),
            )
            for one in told.get("sources", ())
        ],
        recalled=_recalled(ledger, run.id),
        refused=[(one["what"], one["why"]) for one in told.get("refused", ())],
    )


def _weights(marks: list[Mark]) -> dict[str, float]:
    return (
        {run: float(weight) for run, weight in marks[-1].data["weights"].items()} if marks else {}
    )


def _recalled(ledger: Ledger, run_id: str) -> list[RecalledReport]:
    latest = ledger.evidence.latest(run_id)
    newest = {version.principle: version for version in ledger.principles.newest(run_id)}
    cuts = ledger.cuts.of(run_id)
    found = []
    for adoption in ledger.principles.adopted(run_id):
        version = ledger.principles.version(adoption.version)
        now = newest.get(version.principle)
        found.append(
            RecalledReport(
                version=version,
                adoption=adoption,
                evidence=latest.get((version.principle, version.version)),
                became=now if now is not None and now.name != version.name else None,
                cuts=[cut for cut in cuts if cut.principle == version.name],
            )
        )
    return found
