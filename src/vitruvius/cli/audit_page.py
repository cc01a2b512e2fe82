"""An audit as JSON and as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vitruvius.cli.console import print_table
from vitruvius.cli.payloads import evidence_data
from vitruvius.spaces.rules import words

if TYPE_CHECKING:
    from vitruvius.graphs.offline.auditing import Audit, AuditedCut, Explained
    from vitruvius.memory.audit.intervals import Share

SHOWN = 16  # factors in the table; --json has all


def audit_data(audit: Audit) -> dict[str, Any]:
    """Returns everything that an audit found."""
    return {
        "space": audit.space.name,
        "space_id": audit.space.id,
        "source": audit.source,
        "size": asdict(audit.size),
        "spreads": [asdict(one) for one in audit.spreads],
        "scores": [asdict(one) for one in audit.scores],
        "cuts": [_cut_data(one) for one in audit.cuts],
        "expected_loss_of_best_tenth": audit.loss,
    }


def _cut_data(one: AuditedCut) -> dict[str, Any]:
    return {
        "rule": one.rule.model_dump(mode="json", exclude_none=True),
        "rule_words": words(one.rule),
        "rows": one.cut.rows,
        "effect": one.cut.effect,
        "removed_of_what_was_left": one.cut.removed,
        "loss": one.cut.loss,
        "loss_high": one.cut.loss_high,
        "removed": asdict(one.removed),
        "evidence": evidence_data(one.evidence),
    }


def print_audit(audit: Audit) -> None:
    """Prints the audit in a few tables, on a terminal or in a pipe."""
    print(f"Audit of space {audit.space.name}, from {audit.source}\n")
    print("\n".join(_size_lines(audit)))
    if not audit.scores:
        _print_spreads(audit)
    for explained in audit.scores:
        _print_explained(explained)
    _print_cuts(audit)


def _size_lines(audit: Audit) -> list[str]:
    size = audit.size
    lines = []
    if size.nominal is not None:
        lines.append(f"specifications            {size.nominal:,}")
    known = "too many to list" if size.distinct is None else f"{size.distinct:,}"
    lines.append(f"different architectures   {known}")
    effective = (
        f"at least {size.at_least:,.0f}" if size.effective is None else f"{size.effective:,.0f}"
    )
    lines.append(
        f"as the sampler sees it    {effective} equally likely ones "
        f"({size.drawn:,} different in {size.draws:,} draws)"
    )
    lines.append(f"features tell apart       all but {size.same_features:.1%} of the draws")
    return lines


def _print_spreads(audit: Audit) -> None:
    print()
    print_table(
        ("factor", "values", "most common", ""),
        [
            (one.name, str(one.values), f"{one.most_common:.0%}", _note_of(one.is_derived))
            for one in audit.spreads
        ],
    )


def _print_explained(explained: Explained) -> None:
    print(
        f"\nWhat decides {explained.name}: {explained.rows} labels, left-out ones predicted with "
        f"correlation {explained.predicted:.2f};\n{explained.indistinct:.0%} of pairs of draws "
        "differ by less than the noise of one training each."
    )
    members = any(one.members is not None for one in explained.factors)
    print()
    print_table(
        ("factor", "verdict", "alone", "others fixed", *(["each once"] * members), "sample", ""),
        [
            (
                one.name,
                one.verdict,
                _share(one.main),
                _share(one.total),
                *([_percent(one.members)] * members),
                _percent(one.sample),
                _note_of(one.is_derived),
            )
            for one in explained.factors[:SHOWN]
        ],
    )
    left = len(explained.factors) - SHOWN
    if left > 0:
        print(f"and {left} more that explain less: see --json")
    for pair in explained.interactions[:5]:
        what = "together only" if pair.is_modelled else "together only, missed by the model"
        print(f"{pair.first} and {pair.second} {what}: {_share(pair.share)}")


def _print_cuts(audit: Audit) -> None:
    if not any(one.rows for one in audit.scores):
        return
    if not audit.cuts:
        print("\nNo cut is licensed: no labels say that a rule keeps the best.")
        return
    print("\nProposed cuts, each on what those before it leave:\n")
    print_table(
        ("keep", "rows", "best tenth lost", "contrast", "standing", *_removed_headers(audit.cuts)),
        [
            (
                words(one.rule),
                str(one.cut.rows),
                f"{one.cut.loss:.1%}, at most {one.cut.loss_high:.1%}",
                f"{one.evidence.effect:+.2f} ({one.evidence.low:+.2f} to {one.evidence.high:+.2f})",
                one.evidence.standing,
                *_removed_cells(one),
            )
            for one in audit.cuts
        ],
    )
    print(f"\nAll together are expected to lose {audit.loss:.1%} of the best tenth.")


def _removed_headers(cuts: Sequence[AuditedCut]) -> list[str]:
    last = cuts[-1].removed
    named = [("distinct", last.distinct), ("specifications", last.nominal)]
    return [
        "removed so far: draws",
        "sample",
        *(name for name, share in named if share is not None),
    ]


def _removed_cells(one: AuditedCut) -> list[str]:
    shares = (one.removed.sampler, one.removed.sample, one.removed.distinct, one.removed.nominal)
    return [f"{share:.1%}" for share in shares if share is not None]


def _share(share: Share | None) -> str:
    if share is None:
        return "-"
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _note_of(is_derived: bool) -> str:
    return "follows from others" if is_derived else ""
