"""Prepared statements say what SQLAlchemy's would, and a broken transaction leaves nothing."""

import sqlite3
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, func, insert, select, update

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.opening import create_tables
from vitruvius.memory.ledger.statements import Prepared

_results = schema.results.c
COLUMNS = ["space_id", "architecture", "task_id", "fidelity", "seed", "status", "opened",
           "attempts", "curve", "value"]  # fmt: skip
ADD = Prepared(insert(schema.results), COLUMNS)
READ = Prepared(select(_results.id, _results.opened, _results.curve, _results.value))
RAISE = Prepared(
    update(schema.results)
    .where(_results.id == bindparam("result"))
    .values(attempts=_results.attempts + bindparam("more"))
    .returning(_results.attempts)
)
COUNT = Prepared(select(func.count()).select_from(schema.results))
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def row(**changed: object) -> dict[str, object]:
    given = {name: "x" for name in COLUMNS} | {"seed": 1, "attempts": 0, "opened": NOON}
    return given | {"curve": [0.5, None], "value": 1.5} | changed


@pytest.fixture
def database() -> Database:
    made = Database(None)
    with made.write() as connection:
        create_tables(connection)
    return made


def test_values_come_back_as_they_went_in(database: Database) -> None:
    with database.quick_write() as connection:
        assert ADD.run(connection, **row()).lastrowid == 1
    with database.quick_read() as connection:
        found = READ.one(connection)
        assert (found.id, found.opened, found.curve, found.value) == (1, NOON, [0.5, None], 1.5)
        assert COUNT.scalar(connection) == 1
    with database.read() as plain:
        same = plain.execute(select(schema.results)).one()
        assert (same.opened, same.curve) == (NOON, [0.5, None])


def test_an_update_returns_the_new_value_or_nothing(database: Database) -> None:
    with database.quick_write() as connection:
        ADD.run(connection, **row())
        assert RAISE.scalar(connection, result=1, more=2) == 2
        assert RAISE.one(connection, result=9, more=2) is None
        assert RAISE.all(connection, result=1, more=1) == [(3,)]


def test_what_raises_midway_writes_nothing(database: Database) -> None:
    def broken() -> None:
        with database.quick_write() as connection:
            ADD.run(connection, **row())
            raise KeyError("midway")

    with pytest.raises(KeyError):
        broken()
    with database.quick_read() as connection:
        assert COUNT.scalar(connection) == 0


def test_faults_are_told_in_plain_words(database: Database) -> None:
    with pytest.raises(VitruviusError, match="no such run"):
        _of_nobody(database)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        _twice(database)


def _of_nobody(database: Database) -> None:
    with database.quick_write() as connection:
        connection.execute(
            "INSERT INTO marks (run_id, name, step, data) VALUES ('nobody', 'x', 0, '{}')"
        )


def _twice(database: Database) -> None:
    with database.quick_write() as connection:
        ADD.run(connection, **row())
        ADD.run(connection, **row())
