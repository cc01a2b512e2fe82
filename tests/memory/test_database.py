"""Values come back as they went in, a broken transaction leaves nothing, faults are in words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import IntegrityError

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import Database
from vitruvius.memory.ledger.file import create_tables

_results = schema.results.c
COLUMNS = ["space_id", "architecture", "task_id", "fidelity", "seed", "status", "opened",
           "attempts", "curve", "value"]  # fmt: skip
ADD = insert(schema.results)
COUNT = select(func.count()).select_from(schema.results)
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
    with database.write() as connection:
        assert connection.execute(ADD, row()).inserted_primary_key == (1,)
    with database.read() as connection:
        found = connection.execute(select(schema.results)).one()
        assert (found.id, found.opened, found.curve, found.value) == (1, NOON, [0.5, None], 1.5)
        assert connection.scalar(COUNT) == 1


def test_what_raises_midway_writes_nothing(database: Database) -> None:
    def broken() -> None:
        with database.write() as connection:
            connection.execute(ADD, row())
            raise KeyError("midway")

    with pytest.raises(KeyError):
        broken()
    with database.read() as connection:
        assert connection.scalar(COUNT) == 0


def test_faults_are_told_in_plain_words(database: Database) -> None:
    with pytest.raises(VitruviusError, match="no such run"):
        _write(database, insert_mark_of_nobody)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        _write(database, insert_twice)


def _write(database: Database, what: object) -> None:
    assert callable(what)
    with database.write() as connection:
        what(connection)


def insert_mark_of_nobody(connection: Connection) -> None:
    mark = {"run_id": "nobody", "name": "x", "step": 0, "data": {}}
    connection.execute(insert(schema.marks), mark)


def insert_twice(connection: Connection) -> None:
    connection.execute(ADD, row())
    connection.execute(ADD, row())


def test_changes_are_counted_by_table_once_they_are_kept(database: Database) -> None:
    def insert_two() -> None:
        with database.write() as connection:
            connection.execute(ADD, row(seed=7))
            connection.execute(ADD, row(seed=7))  # the second breaks a rule: nothing is kept

    before, of_runs = database.changes(["results"]), database.changes(["runs"])
    with database.write() as connection:
        connection.execute(ADD, row())
        assert database.changes(["results"]) == before
    after = database.changes(["results"])
    assert after > before
    with pytest.raises(IntegrityError):
        insert_two()
    with database.read() as connection:
        assert connection.scalar(COUNT) == 1
    assert database.changes(["results"]) == after == database.changes(["runs", "results"])
    assert database.changes(["runs"]) == of_runs


def test_an_interrupt_in_a_statement_is_told_as_one_and_leaves_the_ledger_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Database(tmp_path / "ledger.db")
    _write(made, create_tables)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DefaultDialect, "do_execute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _write(made, insert_twice)
    with made.write() as connection:
        connection.execute(ADD, row())
    with made.read() as connection:
        assert connection.scalar(COUNT) == 1
    made.close()


def test_an_insert_counts_even_where_another_process_was_first(database: Database) -> None:
    put = schema.insert_or(schema.results).on_conflict_do_nothing()
    _write(database, insert_one)
    before = database.changes(["results"])
    with database.write() as connection:
        assert connection.execute(put, row()).rowcount == 0
    assert database.changes(["results"]) > before  # what is there may never have been seen
    after = database.changes(["results"])
    with database.write() as connection:
        connection.execute(update(schema.results).where(_results.seed == 99).values(seed=1))
    assert database.changes(["results"]) == after


def insert_one(connection: Connection) -> None:
    connection.execute(ADD, row())
