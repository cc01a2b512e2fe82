"""Files of rows, CSV or parquet: columns by name, and sentences that name the row."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.tasks.tables.recorded import Column

Value = str | int | float | bool | None  # None: an empty cell
DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True, eq=False)
class RowFile:
    """The columns of a file. Rows count from 1, the header not counted."""

    path: Path
    columns: Mapping[str, tuple[Value, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def column(self, name: str) -> tuple[Value, ...]:
        """Returns a column.

        Raises:
            ConfigError: names the columns that there are.
        """
        if name not in self.columns:
            raise ConfigError(
                f"{self.path.name} has no column {name!r}; it has {', '.join(self.columns)}"
            )
        return self.columns[name]

    def numbers(self, name: str) -> Column:
        """Returns a column of numbers; empty cells are NaN, and so is the text nan.

        Raises:
            ConfigError: names the first row that holds something else.
        """
        found = np.empty(len(self))
        for row, value in enumerate(self.column(name)):
            number = as_number(value)
            if number is None and value is not None:
                self.refuse(row, f"{name} must be a number, got {value!r:.40}")
            found[row] = np.nan if number is None else number
        return found

    def whole_numbers(self, name: str, least: int) -> list[int]:
        """Returns a column of whole numbers.

        Raises:
            ConfigError: names the first row that holds something else.
        """
        found = self.numbers(name)
        for row, number in enumerate(found.tolist()):
            if not (number >= least and number == np.floor(number) and abs(number) < 2**53):
                got = self.columns[name][row]
                least_text = f" from {least}" if least > -(2**53) else ""
                self.refuse(row, f"{name} must be a whole number{least_text}, got {got!r:.40}")
        return [int(number) for number in found]

    def refuse(self, row: int, problem: str) -> NoReturn:
        """Raises the error that says what is wrong with a row (from 0)."""
        raise ConfigError(f"row {row + 1} of {self.path.name}: {problem}")


def as_number(value: Value) -> float | None:
    """Returns a cell's number, or None where it holds none.

    Example:
        >>> [as_number(value) for value in (3, " 0.5 ", "wide", True, None)]
        [3.0, 0.5, None, None, None]
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def as_text(value: Value) -> str:
    """Returns a cell as the name of a choice.

    Example:
        >>> [as_text(value) for value in (3, 3.0, 0.5, True, " relu ", "16.0")]
        ['3', '3', '0.5', 'true', 'relu', '16.0']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).strip()


def read_rows(path: Path) -> RowFile:
    """Returns the columns of a CSV file (comma, semicolon or tab) or of a parquet file.

    Raises:
        ConfigError: if there is no such file, it cannot be read, has no rows, repeats or lacks
            the name of a column, or a row has another number of cells than the header.
    """
    if not path.is_file():
        raise ConfigError(f"there is no table at {path}")
    columns = _read_parquet(path) if is_parquet(path) else _read_csv(path)
    if not columns or not next(iter(columns.values())):
        raise ConfigError(f"the table {path} has no rows")
    return RowFile(path=path, columns=columns)


def is_parquet(path: Path) -> bool:
    """Returns whether a file begins as parquet files do."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _read_parquet(path: Path) -> dict[str, tuple[Value, ...]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
    _check_header(path, table.column_names)
    read = {}
    for name in table.column_names:
        values = table[name].to_pylist()
        odd = next((v for v in values if not isinstance(v, str | int | float | bool | None)), None)
        if odd is None:  # nested columns and dates are nobody's business here
            read[name] = tuple(None if value == "" else value for value in values)
    return read


def _read_csv(path: Path) -> dict[str, tuple[Value, ...]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=first.count)
            header, *lines = [cells for cells in csv.reader(file, delimiter=delimiter) if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read the table {path}: {error}") from error
    except ValueError:
        raise ConfigError(f"the table {path} has no rows") from None
    header = [name.strip() for name in header]
    _check_header(path, header)
    for row, cells in enumerate(lines, start=1):
        if len(cells) != len(header):
            raise ConfigError(
                f"row {row} of {path.name} has {len(cells)} cells, its header {len(header)}"
            )
    by_column = zip(*lines, strict=True) if lines else [() for _ in header]
    return {
        name: tuple(cell.strip() or None for cell in cells)
        for name, cells in zip(header, by_column, strict=True)
    }


def _check_header(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name:
            raise ConfigError(f"column {place} of {path.name} has no name")
        if name in seen:
            raise ConfigError(f"{path.name} has two columns {name!r}")
        seen.add(name)
