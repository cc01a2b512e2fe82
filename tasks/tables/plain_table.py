"""Tables that users bring: a CSV or parquet file of architectures and what was measured.

Also costs that another such file measured of a table's architectures, like latency on a device.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.tables.recorded import Column, Recorded, Table
from vitruvius.tasks.tables.row_files import RowFile, as_number, read_rows
from vitruvius.tasks.tables.written_architectures import Written, read_architectures
from vitruvius.tasks.task import Metric

SEED, EPOCHS, SECONDS, PARAMS, FLOPS = "seed", "epochs", "train_s", "params", "flops"
LATENCY = "latency_ms"
KNOWN_COSTS = (LATENCY,)  # told beforehand wherever a file has them, as params and flops are
RESERVED = (SEED, EPOCHS, SECONDS, PARAMS, FLOPS, *KNOWN_COSTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grouped:
    """Which rows hold which architecture: `index` numbers them in the order of the file."""

    index: dict[Architecture, int]
    rows: dict[tuple[int, int], list[int]]  # (architecture, epochs) -> rows of the file, by seed

    def of(self, epochs: int) -> Mapping[int, Sequence[int]]:
        """Returns the rows of each architecture at a fidelity."""
        return {number: rows for (number, length), rows in self.rows.items() if length == epochs}


def plain_table(file: RowFile, written: Written, metric: Metric, caps: Sequence[str] = ()) -> Table:
    """Returns the table of one metric of a file.

    `METRIC_test` is its test column, where there is one. Rows that differ in `seed` alone are runs
    of one training; `epochs` tells fidelities apart. `train_s`, `params`, `flops`, `latency_ms`
    are read where they are; each cost is the mean over an architecture's rows.

    Args:
        file: what was read.
        written: its architectures.
        metric: the column to search by.
        caps: further numeric columns to be limited, so that they are told beforehand.

    Raises:
        ConfigError: one sentence that names the column or the row that is wrong.
    """
    values = file.numbers(metric.name)
    for row, cell in enumerate(file.columns[metric.name]):
        if cell is None:
            file.refuse(row, f"{metric.name} is empty; write nan where a training diverged")
    grouped = _group(file, written.rows)
    test = _optional(file, f"{metric.name}_test")
    seconds = _seconds(file)
    _check_costs(file, metric, caps)
    by_epochs = {
        epochs: _recorded(grouped.of(epochs), len(grouped.index), values, test, seconds)
        for epochs in sorted({length for _, length in grouped.rows}, reverse=True)
    }
    costs = {
        name: _per_architecture(file.numbers(name), grouped)
        for name in dict.fromkeys([*KNOWN_COSTS, *caps])
        if name in file.columns and name not in (PARAMS, FLOPS)
    }
    return Table(
        name=file.path.name,
        task=re.sub(r"[^\w.-]+", "-", f"{file.path.stem}-{metric.name}"),
        metric=metric,
        dataset="the trainings",
        sha256=_digest(file, written, metric),
        space=written.space,
        index=grouped.index,
        by_epochs=by_epochs,
        params=_whole(file, PARAMS, grouped),
        flops=_whole(file, FLOPS, grouped),
        costs=costs,
    )


def metric_column(file: RowFile, written: Written, told: str | None) -> str:
    """Returns the metric's column: the one told, else the only one that can be meant.

    Raises:
        ConfigError: if the file lacks it, or several could be meant.
    """
    if told is not None:
        file.column(told)
        if told in written.columns:
            raise ConfigError(f"{told} is an architecture column of {file.path.name}, no metric")
        return told
    left = [
        name
        for name in file.columns
        if name not in (*RESERVED, *written.columns) and not name.endswith("_test")
    ]
    if len(left) != 1:
        raise ConfigError(
            f"say which column of {file.path.name} to search by, metric=NAME: "
            f"{', '.join(left) or 'it has none besides the architectures'}"
        )
    return left[0]


def _group(file: RowFile, architectures: Sequence[Architecture]) -> _Grouped:
    has_seeds = SEED in file.columns
    seeds = file.whole_numbers(SEED, -(2**53)) if has_seeds else [0] * len(file)
    lengths = file.whole_numbers(EPOCHS, 1) if EPOCHS in file.columns else [1] * len(file)
    index: dict[Architecture, int] = {}
    first: dict[tuple[int, int, int], int] = {}
    for row, key in enumerate(zip(architectures, lengths, seeds, strict=True)):
        number = index.setdefault(key[0], len(index))
        earlier = first.setdefault((number, key[1], key[2]), row)
        if earlier != row:
            same = "architecture, epochs and seed" if has_seeds else "architecture"
            cure = "" if has_seeds else "; a column seed tells repeats apart"
            file.refuse(row, f"the same {same} as row {earlier + 1}{cure}")
    rows: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, length, seed in sorted(first):
        rows[number, length].append(first[number, length, seed])
    return _Grouped(index=index, rows=dict(rows))


def _recorded(
    groups: Mapping[int, Sequence[int]],
    count: int,
    values: Column,
    test: Column | None,
    seconds: Column,
) -> Recorded:
    most = max(len(rows) for rows in groups.values())
    missing = np.ones(count, dtype=bool)
    mean, mean_test, mean_s = (np.full(count, np.nan) for _ in range(3))
    runs = np.full((count, most if most > 1 else 0), np.nan)
    for number, picked in groups.items():
        rows = list(picked)
        missing[number] = False
        mean[number] = values[rows].mean()
        mean_s[number] = seconds[rows].mean()
        if test is not None:
            mean_test[number] = test[rows].mean()
        if most > 1:
            runs[number, : len(rows)] = values[rows]
    return Recorded(value=mean, test=mean_test, train_s=mean_s, runs=runs, missing=missing)


def _seconds(file: RowFile) -> Column:
    if SECONDS not in file.columns:
        return np.zeros(len(file))
    seconds = file.numbers(SECONDS)
    for row in np.flatnonzero(~((seconds >= 0) & np.isfinite(seconds))):
        got = file.columns[SECONDS][row]
        file.refuse(int(row), f"{SECONDS} must be seconds from 0, got {got!r:.40}")
    return seconds


def _optional(file: RowFile, name: str) -> Column | None:
    return file.numbers(name) if name in file.columns else None


def _per_architecture(column: Column, grouped: _Grouped) -> Column:
    """Returns the mean over each architecture's rows, those without a number left out."""
    total, count = np.zeros(len(grouped.index)), np.zeros(len(grouped.index))
    for (number, _), rows in grouped.rows.items():
        known = column[rows][~np.isnan(column[rows])]
        total[number] += known.sum()
        count[number] += len(known)
    mean: Column = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean


def _whole(file: RowFile, name: str, grouped: _Grouped) -> NDArray[np.int64] | None:
    if name not in file.columns:
        return None
    file.whole_numbers(name, 0)
    return np.rint(_per_architecture(file.numbers(name), grouped)).astype(np.int64)


def _check_costs(file: RowFile, metric: Metric, caps: Sequence[str]) -> None:
    for name in caps:
        file.column(name)
        if name in (metric.name, f"{metric.name}_test"):
            raise ConfigError(f"{name} is what is searched for: it cannot be limited beforehand")


def _digest(file: RowFile, written: Written, metric: Metric) -> str:
    """Returns a hash of everything in which two tables can differ."""
    told = [written.space.id, list(written.columns), metric.name, metric.direction]
    told_bytes = json.dumps(told).encode()
    return hashlib.sha256(file.path.read_bytes() + told_bytes).hexdigest()


def with_latency(table: Table, path: Path, device: str) -> Table:
    """Returns the table with the cost `latency_ms`: the column of a device in a file of rows.

    Rows are joined by the architecture as written; one that the file lacks has no latency.

    Raises:
        ConfigError: if the file has no such device, a row holds no number or no architecture of
            the table's space, or it shares no architecture with the table.
    """
    file = read_rows(path)
    if device not in file.columns:
        raise ConfigError(
            f"{path.name} has no device {device!r}; it has {', '.join(_devices(file))}"
        )
    measured = file.numbers(device)
    written = read_architectures(file, space=table.space)
    where = {one: row for row, one in enumerate(written.rows)}
    column: Column = np.full(len(table.index), np.nan)
    for architecture, row in table.index.items():
        if architecture in where:
            column[row] = measured[where[architecture]]
    if np.isnan(column).all():
        raise ConfigError(f"{path.name} has no latency of any architecture of {table.name}")
    return replace(table, costs={**table.costs, LATENCY: column})


def _devices(file: RowFile) -> list[str]:
    return [name for name, cells in file.columns.items() if as_number(cells[0]) is not None]
