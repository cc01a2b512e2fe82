"""Trainings that are stopped early, at equal total epochs, on recorded learning curves.

`python -m vitruvius.evals.studies.halving --data FOLDER` searches random halves of the cells of
NAS-Bench-NLP (plain RNN, LSTM and GRU left out) with the epochs of 25 full trainings. An arm pairs
who chooses (the analyst, or uniform draws) with what stops a training; every epoch begun is paid
for, also those before a training diverged. Only what was trained in full counts as found.

The analyst hears a stopped trial as worse than all that went on, and among those stopped at one
epoch by the loss there: stopped later is better than stopped earlier.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitruvius.evals.minimal_search import MinimalSearch
from vitruvius.evals.statistics import bootstrap
from vitruvius.evals.studies.recurrent_cells import LOG, Cells, half_of, read_cells
from vitruvius.evals.studies.rows import Row, fill_in, grouped
from vitruvius.evals.studies.stoppers import Never, Spared, Stopper, halving, optuna_stopper
from vitruvius.memory.model.halving import FACTOR, rungs
from vitruvius.memory.model.proxy_scores import board_of
from vitruvius.memory.records import ResultStatus
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.memory.transfer.trust import voice
from vitruvius.run.short_first import SHORT_TRAININGS
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.space import Architecture, FloatArray
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

FULL_TRAININGS, TOP = 25, 0.01
BASE, BUILT = "full trainings", "halving as built"


class Over(Exception):
    """The epochs are spent."""


@dataclass(eq=False)
class Half:
    """Half of the cells, and the account of epochs; `full` are places trained to the end."""

    cells: Cells
    rows: NDArray[np.int64]
    task: Task
    seed: int
    epochs: int
    spent: int = 0
    trained: int = 0
    full: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.members = tuple(self.cells.architectures[row] for row in self.rows.tolist())
        self.places = {member: place for place, member in enumerate(self.members)}
        self.pool = Pool(self.cells.pool.space, self.members)
        self._losses = self.cells.valid[self.rows]

    def train(self, architecture: Architecture, stopper: Stopper, longest: int = 0) -> FloatArray:
        """Returns the losses up to the epoch that ended it: stopped, diverged (NaN) or the last.

        Raises:
            Over: what is left does not pay for the whole training.
        """
        place = self.places[architecture]
        losses = self._losses[place]
        stopper.begin()
        self.trained += 1
        last = longest or len(losses)
        for epoch, loss in enumerate(losses[:last].tolist(), 1):
            if self.spent >= self.epochs:
                raise Over
            self.spent += 1
            if math.isnan(loss) or (epoch < last and stopper.stops(epoch, loss)):
                stopper.end(None)
                return np.asarray(losses[:epoch])
        stopper.end(float(losses[last - 1]))
        if last == len(losses):
            self.full.append(place)
        return np.asarray(losses[:last])

    def found(self) -> Row:
        """Returns how many of the best 1 % were found, and how good the best found is."""
        final = np.where(np.isnan(self._losses[:, -1]), np.inf, self._losses[:, -1])
        ranks = np.argsort(np.argsort(final, kind="stable"), kind="stable")
        best = max(1, round(TOP * len(final)))
        mine = ranks[self.full] if self.full else np.array([len(final)])
        least = float(final[self.full].min()) if self.full else math.inf
        return {
            "found": int((mine < best).sum()),
            "rank": int(mine.min()) + 1,
            "gap": round(least - float(final.min()), 5),
            "trained": self.trained,
            "full": len(self.full),
            "epochs": self.spent,
        }


@dataclass(eq=False)
class Asked:
    """What is searched; keeps the curve of every trial. `spares` the next one, if uniform."""

    half: Half
    stopper: Stopper
    longest: int = 0
    curves: list[FloatArray] = field(default_factory=list)
    queries: float = FULL_TRAININGS  # what the analyst believes the budget to be
    spares: bool = False

    def ask(self, architecture: Architecture) -> float:
        """Returns the last loss seen; NaN if it diverged."""
        stopper = Spared(self.stopper) if self.spares else self.stopper
        self.spares = False
        self.curves.append(self.half.train(architecture, stopper, self.longest))
        return float(self.curves[-1][-1])


class Sparing(MinimalSearch):
    """A search whose uniform draws are trained to the end."""

    def draw(self) -> Architecture:
        assert isinstance(self.oracle, Asked)
        self.oracle.spares = True
        return super().draw()


def analyst(
    half: Half,
    make: Callable[[Half], Stopper],
    short: int = 0,
    kind: type[MinimalSearch] = MinimalSearch,
    hears: bool = False,
) -> None:
    """Lets the analyst search; with `short`, on that many epochs first, as a source.

    With `hears` it knows the stored metrics, as in `rnn_pool`.
    """
    sources: Sequence[Source] = ()
    if short:
        first = MinimalSearch(half.pool, half.task, Asked(half, Never(), short), half.seed)
        for _ in range(SHORT_TRAININGS):
            first.step()
        sources = [
            Source(
                run_id="short",
                task_name=half.task.name,
                space=half.pool,
                metric=half.task.metric,
                trials=first.trials,
                trust=voice(SHORT_TRAININGS),
            )
        ]
    asked = Asked(half, make(half))
    cells = half.cells
    board = board_of(cells.board_scores(cells.stored(), half.rows)) if hears else None
    search = kind(half.pool, half.task, asked, half.seed, sources=sources, board=board)
    try:
        while True:
            search.step()
            _hear(search, asked.curves)
    except Over:
        return


def _hear(search: MinimalSearch, curves: Sequence[FloatArray]) -> None:
    """Gives each trial a value by how far it came and its loss there: only the order is heard."""
    order = sorted(range(len(curves)), key=lambda one: (-len(curves[one]), curves[one][-1]))
    for place, one in enumerate(order):
        if search.trials[one].status == ResultStatus.DONE:
            search.trials[one] = replace(search.trials[one], value=float(place))


def uniform(half: Half, make: Callable[[Half], Stopper]) -> None:
    """Tries cells in a random order."""
    stopper = make(half)
    order = np.random.default_rng([half.seed, *b"halving"]).permutation(len(half.members))
    try:
        for place in order.tolist():
            half.train(half.members[place], stopper)
    except Over:
        return


def _never(half: Half) -> Stopper:
    return Never()


def _rule(rungs: tuple[int, ...], keep: float) -> Callable[[Half], Stopper]:
    return lambda half: halving(rungs, keep)


def _built(half: Half) -> Stopper:
    return halving(rungs(half.cells.valid.shape[1]), 1 / FACTOR)


def _optuna(name: str) -> Callable[[Half], Stopper]:
    return lambda half: optuna_stopper(name, half.seed, half.cells.valid.shape[1])


ARMS: dict[str, Callable[[Half], None]] = {
    BASE: partial(analyst, make=_never),
    BUILT: partial(analyst, make=_built),
    "full trainings with proxies": partial(analyst, make=_never, hears=True),
    "halving with proxies": partial(analyst, make=_built, hears=True),
    "halving, uniform draws whole": partial(analyst, make=_built, kind=Sparing),
    **{f"short first {n}": partial(analyst, make=_never, short=n) for n in (3, 5, 10)},
    **{
        f"analyst, {name}": partial(analyst, make=_optuna(name))
        for name in ("halving", "hyperband", "median")
    },
    **{
        f"rule {'-'.join(map(str, rungs))} {keep:.2g}": partial(analyst, make=_rule(rungs, keep))
        for rungs, keep in (
            ((5,), 0.25),
            ((3, 10), 0.33),
            ((6, 17), 0.33),
            ((2, 6, 17), 0.33),
            ((1, 3, 10), 0.33),
        )
    },
    "uniform": partial(uniform, make=_never),
    "uniform, halving": partial(uniform, make=_optuna("halving")),
    "uniform, rule 3-10 0.33": partial(uniform, make=_rule((3, 10), 0.33)),
}


def measure(cells: Cells, task: Task, trainings: int, key: Row) -> Row:
    """Returns what one arm found in one half."""
    epochs = trainings * cells.valid.shape[1]
    half = Half(cells, half_of(cells, key["seed"]), task, key["seed"], epochs)
    ARMS[key["arm"]](half)
    return half.found()


def summary(rows: Sequence[Row]) -> list[Row]:
    """Returns means by arm, and what each found more than full trainings, paired by half."""
    by_arm = grouped(rows)
    base = by_arm.get(BASE, {})
    lines = []
    for arm, mine in by_arm.items():
        line: Row = {"arm": arm, "halves": len(mine)}
        for name in ("found", "gap", "rank"):
            line[name] = _interval([row[name] for row in mine.values()])
        for name in ("trained", "full"):
            line[name] = round(float(np.mean([row[name] for row in mine.values()])), 1)
        both = [seed for seed in mine if seed in base]
        if arm != BASE and both:
            for name in ("found", "gap"):
                more = [mine[seed][name] - base[seed][name] for seed in both]
                line[f"{name} beside {BASE}"] = _interval(more)
        lines.append(line)
    return lines


def _interval(values: Sequence[float]) -> list[float]:
    found = bootstrap(np.array(values, dtype=np.float64), "mean")
    return [round(value, 4) for value in (found.value, found.low, found.high)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures, one line of JSON for each arm."""
    parser = argparse.ArgumentParser(prog="halving", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public tables")
    parser.add_argument("--out", type=Path, default=Path("evals/results/halving.jsonl"))
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trainings", type=int, default=FULL_TRAININGS, help="paid in full")
    given = parser.parse_args(arguments)
    cells = read_cells(given.data)
    task = load_task(f"table:{given.data / LOG},metric=cross_entropy,classics=false")
    seeds = range(given.first_seed, given.first_seed + given.halves)
    keys = [{"arm": arm, "seed": seed} for seed in seeds for arm in given.arms]
    rows = fill_in(
        given.out,
        keys,
        partial(measure, cells, task, given.trainings),
        names=("arm", "seed"),
    )
    for line in summary(rows):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
