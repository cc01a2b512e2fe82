"""The results page: Markdown tables and curves from the raw files, and from nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.cases import Case
from vitruvius.evals.outcomes import Outcome, Store
from vitruvius.evals.protocols import Protocol
from vitruvius.evals.tables import BySeed, Outcomes, Table, capped, tables_of
from vitruvius.spaces.space import FloatArray

WIDTH, HEIGHT = 9.0, 3.6  # inches
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


def draw_curves(protocol: Protocol, outcomes: Outcomes, folder: Path) -> Iterator[tuple[str, str]]:
    """Writes one figure per case; returns its name and its file's."""
    from matplotlib.figure import Figure  # no pyplot: that would choose a window system

    folder.mkdir(parents=True, exist_ok=True)
    for case, arms in outcomes.items():
        if not arms:
            continue
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        left, right = figure.subplots(1, 2)
        for arm, found in arms.items():
            queries = np.arange(1, case.queries + 1)
            left.plot(queries, reached(found, case), label=arm)
            if not case.stop_at_hit:
                right.plot(queries, regrets(found, case), label=arm)
        left.set(xlabel="queries", ylabel="reached the best 0.1 %", ylim=(0, 1.02))
        right.set(xlabel="queries", ylabel="mean regret, validation", yscale="log")
        left.legend(fontsize="x-small")
        figure.suptitle(case.name, fontsize="small")
        file = f"{protocol.name}-{re.sub(r'[^A-Za-z0-9]+', '_', case.name)}.svg"
        figure.savefig(folder / file, metadata={"Date": None})  # same results, same file
        yield case.name, file


def reached(found: BySeed, case: Case) -> FloatArray:
    """Returns the share of searches that reached the top, by number of queries."""
    hits = capped(found, case.queries)
    return np.array([np.mean(hits <= query) for query in range(1, case.queries + 1)])


def regrets(found: BySeed, case: Case) -> FloatArray:
    """Returns the mean regret by number of queries."""
    queries = range(1, case.queries + 1)
    rows = [[outcome.regret_at(query) for query in queries] for outcome in found.values()]
    return np.array(np.nanmean(np.array(rows), axis=0))
