"""Reader of the official NATS-Bench topology format: a folder of packed records.

Dong et al. 2021, arXiv:2009.00437; `NATS-tss-v1_0-3ffb9-simple`. `meta.pickle.pbz2` lists the
15,625 cells in the order of their numbers, `000284.pickle.pbz2` holds what was measured of cell
284: for the schedules of 12 and 200 epochs, `all_results` by data set and seed.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.metrics import METRICS
from vitruvius.tasks.tables.nas_bench_201 import DATA_SETS, SIGNATURES, published_costs
from vitruvius.tasks.tables.recorded import Answer, Column, Table
from vitruvius.tasks.tables.safe_pickle import read_packed_pickle

META = "meta.pickle.pbz2"
EPOCHS = (200, 12)  # the schedules recorded; the first is the default
OFFICIAL = {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in16"}
SAMPLED = 16  # records read beforehand: they show that the folder is one, and the usual seconds
_RECORD = re.compile(r"(\d{6})\.pickle\.pbz2")
_TAIL = 16  # bytes at a packed file's end: they hold the checksum of its content
# data set and split of (validation, test); c10 is judged on the test images after another training
_SPLITS = {
    "c10": (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "c100": (("cifar100", "x-valid"), ("cifar100", "x-test")),
    "in16": (("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}


def read_nats_bench(folder: Path, metric: str) -> Table:
    """Returns the table of one data set (`c10`, `c100`, `in16`) of a folder of records.

    A record is read when it is asked for: all 15,625 take minutes. Validation and test are
    the accuracies after the last epoch, means over seeds; for c10, as in `nas_bench_201`, those of
    networks trained on 25k images and judged on the other 25k, and of others trained on 50k and
    judged on the test images. Seconds are those of training, without evaluation. Parameters and
    FLOPs are counted from the cell, for 150 records hold wrong ones.

    Raises:
        ConfigError: if the folder holds no such records, or one asks for more than plain data.
    """
    metric = OFFICIAL.get(metric, metric)
    cells, files = _list(folder)
    params, flops = published_costs(metric, cells)
    read: dict[int, Mapping[int, Answer]] = {}  # one for both schedules: a file holds both
    records = {
        epochs: _Records(metric=metric, epochs=epochs, files=files, read=read) for epochs in EPOCHS
    }
    for each in records.values():
        _ = each.sample
    return Table(
        name="NATS-Bench (topology)",
        task=metric,
        metric=METRICS["accuracy"].metric,
        dataset=DATA_SETS[metric],
        sha256=_digest(folder, files),
        space=Cell(),
        index={cell: row for row, cell in enumerate(cells)},
        by_epochs=records,
        params=params,
        flops=flops,
        signature=SIGNATURES[metric],
    )


def _list(folder: Path) -> tuple[list[Architecture], list[tuple[Path, str]]]:
    """Returns the cells that have a file, by number, and the files with the cells' strings."""
    meta = read_packed_pickle(folder / META)
    names = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{folder / META} lists no architectures under meta_archs")
    cells, files = [], []
    for path in sorted(folder.iterdir()):
        match = _RECORD.fullmatch(path.name)
        if match is None:
            continue
        if int(match[1]) >= len(names):
            raise ConfigError(f"{path}: {META} lists {len(names)} architectures, from 0")
        name = names[int(match[1])]
        try:
            cells.append(from_string(name))
        except ToolError as error:
            raise ConfigError(f"{META} at {int(match[1])}: {error}") from None
        files.append((path, name))
    if not files:
        raise ConfigError(f"{folder} holds no records such as 000284.pickle.pbz2")
    return cells, files


@dataclass(frozen=True, kw_only=True, eq=False)
class _Records:
    """What one schedule records, read file by file."""

    metric: str
    epochs: int
    files: list[tuple[Path, str]]
    read: dict[int, Mapping[int, Answer]]  # filled as records are asked for

    def lacks(self, row: int) -> bool:
        """Returns False: nothing is known of a record before it is read."""
        return False

    def at(self, row: int) -> Answer:
        """Returns what is recorded of one cell.

        Raises:
            ToolError: if the record lacks the schedule or the data set.
            ConfigError: if the file is not one of the format.
        """
        if row not in self.read:
            self.read[row] = _answers(*self.files[row], self.metric)
        found = self.read[row].get(self.epochs)
        if found is None:
            raise ToolError("nothing is recorded of this architecture at this fidelity")
        return found

    @cached_property
    def sample(self) -> list[Answer]:
        """Some records, spread over all."""
        places = np.unique(np.linspace(0, len(self.files) - 1, SAMPLED).astype(int))
        return [answer for row in places.tolist() if (answer := self._or_none(row)) is not None]

    @property
    def typical_s(self) -> float:
        """Median seconds of a training, of a sample."""
        return float(np.median([answer.train_s for answer in self.sample] or [0.0]))

    @property
    def has_runs(self) -> bool:
        """Whether some cell of a sample has several runs."""
        return any(len(answer.runs) > 1 for answer in self.sample)

    @cached_property
    def value(self) -> Column:
        """Every record's validation accuracy: reads all files."""
        return self._column("value")

    @cached_property
    def test(self) -> Column:
        """Every record's test accuracy: reads all files."""
        return self._column("test")

    def _column(self, name: str) -> Column:
        answers = [self._or_none(row) for row in range(len(self.files))]
        values = [None if answer is None else getattr(answer, name) for answer in answers]
        return np.array([math.nan if value is None else value for value in values])

    def _or_none(self, row: int) -> Answer | None:
        try:
            return self.at(row)
        except ToolError:
            return None


def _answers(path: Path, name: str, metric: str) -> dict[int, Answer]:
    """Returns what a record says of a data set, by schedule."""
    record = read_packed_pickle(path)
    try:
        found = {epochs: record.get(f"{epochs:02d}") for epochs in EPOCHS}
        for schedule in found.values():
            if schedule is not None and schedule["arch_str"] != name:
                raise ConfigError(f"{path} is of {schedule['arch_str']!r}, {META} says {name!r}")
        answers = {
            epochs: _answer(schedule["all_results"], metric)
            for epochs, schedule in found.items()
            if schedule is not None
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"{path} is not a NATS-Bench record: {error!r}") from error
    return {epochs: answer for epochs, answer in answers.items() if answer is not None}


def _answer(results: Mapping[tuple[str, int], Any], metric: str) -> Answer | None:
    valid, test = _SPLITS[metric]
    trained = _runs(results, valid[0])
    if not trained:
        return None
    runs = [_accuracy(run, valid[1]) for run in trained]
    tests = [_accuracy(run, test[1]) for run in _runs(results, test[0])]
    return Answer(
        value=float(np.mean(runs)),
        test=float(np.mean(tests)) if tests else None,
        train_s=float(np.mean([sum(run["train_times"].values()) for run in trained])),
        runs=tuple(runs),
    )


def _runs(results: Mapping[tuple[str, int], Any], dataset: str) -> list[Mapping[str, Any]]:
    """Returns the trainings on a data set in the order of their seeds."""
    return [results[key] for key in sorted(key for key in results if key[0] == dataset)]


def _accuracy(run: Mapping[str, Any], split: str) -> float:
    """Returns the accuracy after the last epoch, in percent."""
    return float(run["eval_acc1es"][f"{split}@{int(run['epochs']) - 1}"])


def _digest(folder: Path, files: list[tuple[Path, str]]) -> str:
    """Returns a hash of the folder: of every file its name, size and checksum, which ends it."""
    digest = hashlib.sha256((folder / META).read_bytes())
    for path, _ in files:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            digest.update(f"{path.name} {size} ".encode() + file.read())
    return digest.hexdigest()
