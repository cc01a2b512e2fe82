"""Statements of every step: SQLAlchemy writes them once, sqlite3 runs them.

Between two numerical steps the processor's caches hold nothing of the ledger, and SQLAlchemy's way
from a statement to its rows then costs ten times what SQLite does (0.49 ms against 0.07 ms).
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Delete, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

_DIALECT = sqlite.dialect()

_create_row: Any = namedtuple  # whose type asks for literal names

Convert = Callable[[Any], Any]


class Prepared:
    """A statement as text, with what turns its parameters and rows from and to Python's values.

    Parameters are named as in `bindparam`, or as the columns that are written. Lists of values of
    unknown length (`in_`) cannot be prepared.
    """

    def __init__(
        self, clause: Select[Any] | Insert | Update | Delete, columns: Sequence[str] = ()
    ) -> None:
        """Compiles the statement.

        Args:
            clause: of SQLAlchemy.
            columns: that are written, where the clause does not name them itself.
        """
        compiled = clause.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        self._sql = str(compiled)
        self._parameters: list[tuple[str, Any, Convert | None]] = [
            (name, compiled.params[name], _to_sql(compiled.binds[name].type))
            for name in compiled.positiontup or ()
        ]
        made = clause.exported_columns
        names = [str(column.key) for column in made]
        self._make = _create_row("Row", names, rename=True)._make  # without a name: a number
        self._readers = [
            (place, read)
            for place, column in enumerate(made)
            if (read := _from_sql(column.type)) is not None
        ]

    def run(self, connection: sqlite3.Connection, **given: Any) -> sqlite3.Cursor:
        """Executes the statement; the cursor knows `rowcount` and `lastrowid`."""
        values = []
        for name, value, convert in self._parameters:
            if name in given:
                value = given[name]
            values.append(value if convert is None else convert(value))
        return connection.execute(self._sql, values)

    def all(self, connection: sqlite3.Connection, **given: Any) -> list[Any]:
        """Returns the rows as named tuples."""
        return [self._read(row) for row in self.run(connection, **given).fetchall()]

    def one(self, connection: sqlite3.Connection, **given: Any) -> Any:
        """Returns the first row, or None."""
        row = self.run(connection, **given).fetchone()
        return None if row is None else self._read(row)

    def scalar(self, connection: sqlite3.Connection, **given: Any) -> Any:
        """Returns the first value of the first row, or None."""
        row = self.one(connection, **given)
        return None if row is None else row[0]

    def _read(self, row: tuple[Any, ...]) -> Any:
        if not self._readers:
            return self._make(row)
        values = list(row)
        for place, read in self._readers:
            values[place] = read(values[place])
        return self._make(values)


def _to_sql(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).bind_processor(_DIALECT)


def _from_sql(kind: TypeEngine[Any]) -> Convert | None:
    return kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
