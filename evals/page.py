"""The results page: Markdown tables and curves from the raw files, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.cases import Case
from vitruvius.evals.curves import draw_curves
from vitruvius.evals.outcomes import Outcome
from vitruvius.evals.protocols import Protocol
from vitruvius.evals.store import Store
from vitruvius.evals.tables import Table, tables_of

HEAD = """# Results

Made by `vitruvius eval` from the raw files beside this page. Queries are full trainings until one
of the best 0.1 % by validation; a search without one counts as one more than its budget. The best
by validation is the chosen one, and test values are those of the chosen one. Square brackets hold
95 % bootstrap intervals; ratios are of mean capped queries, on the same seeds, with 95 % one-sided
bounds. CPU seconds are medians of whole searches, in a process of one thread.
"""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a protocol came to: per case and arm the outcomes by seed."""

    protocol: Protocol
    outcomes: Mapping[Case, Mapping[str, Mapping[int, Outcome]]]


def read_results(protocol: Protocol, store: Store) -> Results:
    """Returns what is stored of a protocol; arms that did not listen come from their own case."""
    outcomes = {
        case: {
            arm: found
            for arm in protocol.arms
            if (found := store.read(case if find_arm(arm).hears else case.blind(), arm))
        }
        for case in protocol.cases
    }
    return Results(protocol=protocol, outcomes=outcomes)


def write_page(protocols: Sequence[Protocol], store: Store) -> Path:
    """Writes `results.md` and the curves into the store's folder; returns the page's path."""
    parts = [HEAD]
    for protocol in protocols:
        results = read_results(protocol, store)
        if not any(results.outcomes.values()):
            continue
        parts.append(f"## {protocol.name}\n\n{_sentence(protocol.about)}\n")
        parts += [_markdown(table) for table in tables_of(protocol, results.outcomes)]
        parts += [
            f"![{protocol.name}: {name}](curves/{file})\n"
            for name, file in draw_curves(protocol, results.outcomes, store.folder / "curves")
        ]
    page = store.folder / "results.md"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page


def _sentence(about: str) -> str:
    return f"{about[0].upper()}{about[1:]}."


def _markdown(table: Table) -> str:
    lines = [f"{table.title}\n"] if table.title else []
    lines.append(f"| {' | '.join(table.columns)} |")
    lines.append("|" + "---|" * len(table.columns))
    lines += [f"| {' | '.join(row)} |" for row in table.rows]
    return "\n".join(lines) + "\n"
