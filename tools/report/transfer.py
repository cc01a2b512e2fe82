"""What came from earlier runs: who was listened to, how far, what came of it; and it in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import CutRecord, Mark, Run, RunKind
from vitruvius.spaces.rules import words
from vitruvius.tools.report.facts import RecalledReport, Report, SourceReport, TransferReport
from vitruvius.tools.safe_text import code, escape

_KINDS = {
    RunKind.SEARCH: "search",
    RunKind.LEARN: "learned from rows",
    RunKind.IMPORT: "imported",
}


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


def transferred(report: Report) -> Iterator[str]:
    """Yields the sources, the principles that were recalled, and what was refused with why."""
    transfer = report.transfer
    if transfer is None:
        yield "The run has not looked at earlier runs yet."
        return
    if not (transfer.sources or transfer.recalled or transfer.refused):
        asked = escape(", ".join(transfer.asked))
        yield f"Nothing: no principle and no run of the past was used (asked for: {asked})."
        return
    if transfer.sources:
        yield "\n".join(_sources(transfer.sources))
        yield (
            "Trust is what a source's word weighed before the first trial, from 0 to 1; the weight "
            "is what the trials of this run made of it: 1 as trusted, 0 of no use, below 0 "
            "misleading."
        )
    if transfer.recalled:
        yield "\n".join(_recalled_lines(transfer.recalled))
    if transfer.refused:
        yield "Not used:"
        yield "\n".join(f"- {escape(what)}: {escape(why)}" for what, why in transfer.refused)


def _sources(sources: Sequence[SourceReport]) -> Iterator[str]:
    yield "| source | task | space | trials | trust at the start | learned weight |"
    yield "|---|---|---|---|---|---|"
    for source in sources:
        run = source.run
        weight = "not measured" if source.weight is None else f"{source.weight:.2f}"
        yield (
            f"| run {run.id} ({_KINDS[run.kind]}) | {code(run.task_name)} | {code(run.space_name)} "
            f"| {source.trials:,} | {source.trust:.2f} | {weight} |"
        )


def _recalled_lines(recalled: Sequence[RecalledReport]) -> Iterator[str]:
    yield "| recalled | trust | effect there | effect here | what became of it | cuts |"
    yield "|---|---|---|---|---|---|"
    for one in recalled:
        version, evidence, there = one.version, one.evidence, one.adoption.source_effect
        imported = " (imported)" if version.edit == "import" else ""
        here = "-"
        if evidence is not None:
            here = f"{evidence.effect:+.2f} ({evidence.low:+.2f} to {evidence.high:+.2f})"
        yield (
            f"| {version.name}{imported}: {code(words(version.rule))} | {one.adoption.trust:.2f} "
            f"| {'-' if there is None else f'{there:+.2f}'} | {here} | {became(one)} "
            f"| {', '.join(map(_cut, one.cuts)) or 'none'} |"
        )


def became(one: RecalledReport) -> str:
    """Returns what the run made of a recalled principle."""
    measured = "not measured" if one.evidence is None else str(one.evidence.standing)
    if one.became is None:
        return measured
    if one.became.edit == "retire":
        return f"{measured}, then given up"
    return f"{measured}, then rewritten as {one.became.name}"


def _cut(cut: CutRecord) -> str:
    kind = "provisional, " if cut.provisional else ""
    if cut.in_force:
        return f"cut {cut.number} ({kind}in force)"
    return f"cut {cut.number} ({kind}undone at step {cut.undone_step})"
