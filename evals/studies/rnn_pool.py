"""The analyst on recurrent cells, with and without proxies, beside what needs no model of ours.

`python -m vitruvius.evals.studies.rnn_pool --data FOLDER` searches random halves of the cells of
NAS-Bench-NLP (plain RNN, LSTM and GRU left out) with 100 trials of the validation loss after 50
epochs, and counts how many of the half's best 1 % were tried, and at which trial the fifth was. A
cell whose training diverged is a trial that diverged. All arms see the same features and the same
stored metrics; a cell without stored metrics is unknown to the arms that use these.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from vitruvius.evals.minimal_search import MinimalSearch
from vitruvius.evals.statistics import bootstrap
from vitruvius.evals.studies.recurrent_cells import LOG, STORED, Cells, half_of, read_cells
from vitruvius.evals.studies.rows import Row, fill_in, grouped
from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

TRIALS, TOP, FIFTH = 100, 0.01, 5
FIRST_DRAWS, REFIT = 10, 5  # of the trees: uniform trials, and trials between two fits
AGENT = "analyst with proxies"


@dataclass(eq=False)
class Half:
    """Half of the cells to search; `asked` are rows in order of trial, each paid for."""

    cells: Cells
    rows: NDArray[np.int64]
    task: Task
    seed: int
    asked: list[int] = field(default_factory=list)

    queries = float(TRIALS)

    def __post_init__(self) -> None:
        self.members = tuple(self.cells.architectures[row] for row in self.rows.tolist())
        self.places = {member: place for place, member in enumerate(self.members)}
        self._loss = self.cells.valid[self.rows, -1]

    def ask(self, architecture: Architecture) -> float:
        """Returns the validation loss of a cell; NaN if its training diverged."""
        self.asked.append(self.places[architecture])
        return float(self._loss[self.asked[-1]])

    def found(self) -> Row:
        """Returns how many of the best 1 % were tried, and the trial of the fifth of them."""
        order = np.argsort(np.where(np.isnan(self._loss), np.inf, self._loss), kind="stable")
        best = set(order[: max(1, round(TOP * len(self.rows)))].tolist())
        hits = [trial for trial, place in enumerate(self.asked, 1) if place in best]
        return {
            "found": len(hits),
            "of": len(best),
            "fifth": hits[FIFTH - 1] if len(hits) >= FIFTH else TRIALS + 1,
        }


def analyst(half: Half, *, hears: bool) -> None:
    """Lets the analyst search, without graph and ledger."""
    pool = Pool(half.cells.pool.space, half.members)
    board = board_of(half.cells.board_scores(half.cells.stored(), half.rows)) if hears else None
    search = MinimalSearch(pool, half.task, half, half.seed, board=board)
    for _ in range(TRIALS):
        search.step()


def random_draws(half: Half) -> None:
    """Tries cells in a random order."""
    for place in _rng(half).permutation(len(half.members))[:TRIALS].tolist():
        half.ask(half.members[place])


def by_metric(half: Half, *, name: str) -> None:
    """Tries cells in the order of one metric, more first, unknown ones last."""
    said = half.cells.scores[half.rows, STORED.index(name)]
    order = np.argsort(-np.where(np.isnan(said), -np.inf, said), kind="stable")
    for place in order[:TRIALS].tolist():
        half.ask(half.members[place])


def boosted_trees(half: Half, *, hears: bool) -> None:
    """Tries what boosted trees on features, and on metrics if it hears them, expect most of."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    told = half.cells.pool.featurise(half.members)
    if hears:
        told = np.hstack([told, half.cells.scores[half.rows]])
    quality: list[float] = []
    for place in _rng(half).permutation(len(half.members))[:FIRST_DRAWS].tolist():
        quality.append(-half.ask(half.members[place]))
    expected = np.zeros(len(half.members))
    while len(half.asked) < TRIALS:
        if (len(half.asked) - FIRST_DRAWS) % REFIT == 0:
            trees = HistGradientBoostingRegressor(
                max_iter=100, max_leaf_nodes=8, min_samples_leaf=3
            )
            worst = np.where(np.isnan(quality), -np.inf, quality)
            expected = trees.fit(told[half.asked], rankdata(worst)).predict(told)
        expected[half.asked] = -np.inf
        quality.append(-half.ask(half.members[int(np.argmax(expected))]))


ARMS: dict[str, Callable[[Half], None]] = {
    AGENT: partial(analyst, hears=True),
    "analyst without proxies": partial(analyst, hears=False),
    "boosted trees": partial(boosted_trees, hears=False),
    "boosted trees with proxies": partial(boosted_trees, hears=True),
    "hidden covariance 1": partial(by_metric, name="hidden_cov_l1"),
    "hidden covariance 2": partial(by_metric, name="hidden_cov_l2"),
    "random": random_draws,
}


def _rng(half: Half) -> np.random.Generator:
    return np.random.default_rng([half.seed, *b"rnn_pool"])


def measure(cells: Cells, task: Task, key: Row) -> Row:
    """Returns what one arm found in one half."""
    half = Half(cells, half_of(cells, key["seed"]), task, key["seed"])
    ARMS[key["arm"]](half)
    return half.found()


def summary(rows: Sequence[Row]) -> list[Row]:
    """Returns means and medians by arm, and what the agent found more, paired by half."""
    by_arm = grouped(rows)
    agent = by_arm.get(AGENT, {})
    lines = []
    for arm, mine in by_arm.items():
        found = bootstrap(np.array([row["found"] for row in mine.values()]), "mean")
        line: Row = {
            "arm": arm,
            "halves": len(mine),
            "found": _rounded([found.value, found.low, found.high]),
            "fifth": float(np.median([row["fifth"] for row in mine.values()])),
            "reached": round(float(np.mean([r["fifth"] <= TRIALS for r in mine.values()])), 3),
        }
        both = [seed for seed in mine if seed in agent]
        if arm != AGENT and both:
            more = np.array([agent[seed]["found"] - mine[seed]["found"] for seed in both])
            gain = bootstrap(more, "mean")
            line["agent found more"] = _rounded([gain.value, gain.low, gain.high])
        lines.append(line)
    return lines


def _rounded(values: Sequence[float] | FloatArray) -> list[float]:
    return [round(float(value), 2) for value in values if not math.isnan(value)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures, one line of JSON for each arm."""
    parser = argparse.ArgumentParser(prog="rnn_pool", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--out", type=Path, default=Path("evals/results/rnn_pool.jsonl"))
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--halves", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args(arguments)
    cells = read_cells(given.data)
    task = load_task(f"table:{given.data / LOG},metric=cross_entropy,classics=false")
    seeds = range(given.first_seed, given.first_seed + given.halves)
    keys = [{"arm": arm, "seed": seed} for seed in seeds for arm in given.arms]
    rows = fill_in(given.out, keys, partial(measure, cells, task), names=("arm", "seed"))
    for line in summary(rows):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
