"""Curves as SVG: regret by validation over queries, and the share that reached the top."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vitruvius.evals.cases import Case
from vitruvius.evals.protocols import Protocol
from vitruvius.evals.tables import BySeed, Outcomes, capped
from vitruvius.spaces.space import FloatArray

WIDTH, HEIGHT = 9.0, 3.6  # inches


def draw_curves(protocol: Protocol, outcomes: Outcomes, folder: Path) -> Iterator[tuple[str, str]]:
    """Writes one figure per case; returns its name and its file's."""
    from matplotlib.figure import Figure

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
        figure.savefig(folder / file, metadata={"Date": None})
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
