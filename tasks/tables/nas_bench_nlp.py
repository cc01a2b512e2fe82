"""Reader of the training logs of NAS-Bench-NLP: recurrent cells as language models.

Klyuchnikov et al. 2020, arXiv:2006.07116. One JSON object a line, one line a training: the cell's
`recipe`, `status`, `num_params`, `epoch_seconds` and the losses `val` and `test` (nats a word)
after each epoch. The networks have 3 layers of 600 units and an embedding of 400, tied to the
decoder. By a fault of its weight drop, no matrix that is not fed by the input was trained.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.recurrent.graph import CLASSICS, LINEAR, Graph, X, from_recipe
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.tables.recorded import Answer, Column, Table
from vitruvius.tasks.task import Metric

COLUMNS = frozenset({"recipe", "status", "num_params", "epochs_done", "val", "test"})
METRIC_NAMES = ("cross_entropy",)
EMBEDDING, HIDDEN = 400, 600
STEPS = 70  # of one example
DATASETS = {10_000: ("ptb", "Penn Treebank"), 33_278: ("wikitext2", "WikiText-2")}
FINISHED, NOT_A_NUMBER = "OK", "loss is nan!"


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """One training as it was logged. Losses are NaN from the epoch on in which it diverged."""

    id: int  # of the recipe; several ids may have the same cell
    status: str  # `OK`, or what ended the training
    architecture: Architecture  # canonical
    written: Architecture  # the recipe as it is in the log
    params: int
    val: tuple[float, ...]
    test: tuple[float, ...]
    epoch_s: float  # NaN where the log has none
    epochs_run: int  # the one that diverged included


def read_log(path: Path) -> tuple[LoggedRun, ...]:
    """Returns the trainings of a log, in its order.

    Raises:
        ConfigError: names the line that is not one of the format.
    """
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)  # the task and the space of one run are made of the same file
def _read(path: Path, *_: int) -> tuple[LoggedRun, ...]:
    space = Recurrent()
    runs = []
    for number, line in _lines(path):
        try:
            runs.append(_run(json.loads(line), space))
        except (ToolError, KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"line {number} of {path} is no training of NAS-Bench-NLP: {error!r}"
            ) from None
    if not runs:
        raise ConfigError(f"{path} is empty")
    return tuple(runs)


def log_columns(path: Path) -> frozenset[str]:
    """Returns the keys of the first line; none if it is no JSON object.

    Raises:
        ConfigError: if the file cannot be read.
    """
    for _, line in _lines(path):
        try:
            first = json.loads(line)
        except ValueError:
            return frozenset()
        return frozenset(first) if isinstance(first, dict) else frozenset()
    return frozenset()


def read_nas_bench_nlp(path: Path, metric: str, *, classics: str = "true") -> Table:
    """Returns the table of a log: the loss on validation and test words after each epoch.

    Trainings of one cell are its runs, whatever their ids; the figure is the mean of those that did
    not diverge. A cell of which all did has NaN from that epoch on, which a search gets as a
    diverged trial. (Their seconds count up to that epoch.)

    Args:
        path: the log.
        metric: `cross_entropy`; there is no other.
        classics: `false` leaves out the plain RNN, the LSTM and the GRU, under whatever id:
            the latter are ranks 1 and 3 of the published list, and known to everybody.

    Raises:
        ConfigError: if the file cannot be read or a line is not one of the format.
    """
    space, with_classics = Recurrent(), classics == "true"
    left_out = set() if with_classics else {space.parse(recipe) for recipe in CLASSICS.values()}
    runs = [run for run in read_log(path) if run.architecture not in left_out]
    if not runs:
        raise ConfigError(f"{path} holds no other cells than the RNN, the LSTM and the GRU")
    log = _Log.of(runs)
    vocabulary = _vocabulary(runs[0])
    task, dataset = DATASETS.get(vocabulary or 0, ("text", path.name))
    digest = hashlib.sha256(path.read_bytes())
    if not with_classics:
        digest.update(b"without classics")
    return Table(
        name="NAS-Bench-NLP",
        task=task,
        metric=Metric(name=metric, direction="min", unit="nats"),
        dataset=dataset,
        sha256=digest.hexdigest(),
        space=space,
        index=log.index,
        by_epochs={epochs: Epoch(log=log, epochs=epochs) for epochs in range(log.epochs, 0, -1)},
        params=np.array([runs[rows[0]].params for rows in log.rows], dtype=np.int64),
        signature=None
        if vocabulary is None
        else Signature(
            input_shape=(STEPS,),
            outputs=vocabulary,
            vocabulary=vocabulary,
            per_token=True,
            causal=True,
        ),
        figure="the mean over its trainings that did not diverge",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Log:
    """Curves [R, E] by training, NaN once diverged, and which trainings are of which cell."""

    index: Mapping[Architecture, int]
    rows: list[list[int]]
    val: NDArray[np.float64]
    test: NDArray[np.float64]
    epoch_s: Column
    epochs_run: NDArray[np.int64]

    @classmethod
    def of(cls, runs: list[LoggedRun]) -> _Log:
        index: dict[Architecture, int] = {}
        rows: list[list[int]] = []
        for number, run in enumerate(runs):
            place = index.setdefault(run.architecture, len(index))
            if place == len(rows):
                rows.append([])
            rows[place].append(number)
        seconds = np.array([run.epoch_s for run in runs])
        typical = 0.0 if np.isnan(seconds).all() else float(np.nanmedian(seconds))
        epochs = max(1, *(len(run.val) for run in runs))
        return cls(
            index=index,
            rows=rows,
            val=np.array([_padded(run.val, epochs) for run in runs]),
            test=np.array([_padded(run.test, epochs) for run in runs]),
            epoch_s=np.where(np.isnan(seconds), typical, seconds),
            epochs_run=np.array([run.epochs_run for run in runs]),
        )

    @property
    def epochs(self) -> int:
        return int(self.val.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Epoch:
    """What a log records after so many epochs: the `Records` of a table."""

    log: _Log
    epochs: int

    @property
    def has_runs(self) -> bool:
        """Whether some cell was trained more than once."""
        return any(len(rows) > 1 for rows in self.log.rows)

    @cached_property
    def value(self) -> Column:
        """Validation loss by cell; NaN where every training diverged."""
        return np.array([_mean(self._column(self.log.val, rows)) for rows in self.log.rows])

    @cached_property
    def test(self) -> Column:
        """Test loss by cell; NaN where every training diverged."""
        return np.array([_mean(self._column(self.log.test, rows)) for rows in self.log.rows])

    @cached_property
    def typical_s(self) -> float:
        """Median seconds of a training."""
        return float(np.median([self._seconds(rows) for rows in self.log.rows]))

    def lacks(self, row: int) -> bool:
        """Returns False: a diverged training is an answer."""
        return False

    def at(self, row: int) -> Answer:
        """Returns what is recorded of one cell; a diverged run is infinite."""
        rows = self.log.rows[row]
        values = self._column(self.log.val, rows)
        test = _mean(self._column(self.log.test, rows))
        return Answer(
            value=_mean(values),
            test=None if math.isnan(test) else test,
            train_s=self._seconds(rows),
            runs=tuple(math.inf if math.isnan(value) else value for value in values),
        )

    def _column(self, curves: NDArray[np.float64], rows: list[int]) -> list[float]:
        found: list[float] = curves[rows, self.epochs - 1].tolist()
        return found

    def _seconds(self, rows: list[int]) -> float:
        spent = np.minimum(self.epochs, self.log.epochs_run[rows]) * self.log.epoch_s[rows]
        return float(spent.mean())


def _mean(values: list[float]) -> float:
    finished = [value for value in values if not math.isnan(value)]
    return sum(finished) / len(finished) if finished else math.nan


def _padded(curve: tuple[float, ...], epochs: int) -> list[float]:
    return [*curve, *[math.nan] * (epochs - len(curve))]


def _run(line: Any, space: Recurrent) -> LoggedRun:
    if not COLUMNS.issubset(line):
        raise ValueError(f"it lacks {', '.join(sorted(COLUMNS - set(line)))}")
    seconds = line.get("epoch_seconds")
    done, status = int(line["epochs_done"]), str(line["status"])
    return LoggedRun(
        id=int(line["id"]),
        status=status,
        architecture=space.parse(line["recipe"]),
        written=Architecture.of(line["recipe"]),
        params=int(line["num_params"]),
        val=_curve(line["val"]),
        test=_curve(line["test"]),
        epoch_s=math.nan if seconds is None else float(seconds),
        # an overflow ends an epoch before it is counted
        epochs_run=done if status in (FINISHED, NOT_A_NUMBER) else done + 1,
    )


def _curve(values: list[float | None]) -> tuple[float, ...]:
    """Returns the losses up to the first that is no number; NaN stands for the rest."""
    found: list[float] = []
    for value in values:
        if value is None or not math.isfinite(value):
            break
        found.append(float(value))
    return tuple(found)


def published_params(graph: Graph) -> int:
    """Returns the number of parameters of a cell's three layers in the published network."""
    total = 0
    for inputs, hidden in ((EMBEDDING, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, EMBEDDING)):
        for op, read in graph.values():
            if op == LINEAR:
                total += hidden * (1 + sum(inputs if each == X else hidden for each in read))
    return total


def _vocabulary(run: LoggedRun) -> int | None:
    """Returns the size of the vocabulary, which the number of parameters tells."""
    rest = run.params - published_params(from_recipe(run.written.spec))
    words, left = divmod(rest, EMBEDDING + 1)
    return words if words > 0 and left == 0 else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file, gzipped or not, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            lines = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
