"""Costs that another file measured of the architectures of a table, such as latency on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.tasks.tables.recorded import Column, Table
from vitruvius.tasks.tables.row_files import RowFile, as_number, read_rows
from vitruvius.tasks.tables.written_architectures import read_architectures

LATENCY = "latency_ms"


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
