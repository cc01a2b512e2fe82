"""The ledger's database: one SQLite file, short transactions, errors in plain words."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.ledger.redaction import redact_texts

BUSY_S = 30.0
_WRITTEN = "tables written"


class Database:
    """An engine whose writes are serialised by SQLite and whose errors are sentences.

    WAL with synchronous=NORMAL: a commit is in the operating system's hands when it returns, so
    no acknowledged row is lost by `kill -9`; a power cut may take the last commits, never the
    file. Full synchronisation would cost a disk flush per commit.
    """

    def __init__(self, path: Path | None, *, secrets: tuple[str, ...] = ()) -> None:
        """Makes the engine; `path` None keeps everything in memory.

        `secrets` are texts, such as an API key, that must never be stored.
        """
        self.secrets = secrets
        self.place = "the ledger in memory" if path is None else str(path)
        # one connection serves all threads of a ledger in memory, one at a time
        self._turn: AbstractContextManager[Any] = RLock() if path is None else nullcontext()
        self._engine = _create_engine(path)
        self._idle: list[Connection] = []
        self._changes: dict[str, int] = {}  # by table: the count of writes at its last one
        self._count = 0
        self._counting = Lock()

    def read(self) -> AbstractContextManager[Connection]:
        """Yields a connection that sees one state of the ledger."""
        return self._transaction("BEGIN")

    def write(self) -> AbstractContextManager[Connection]:
        """Yields the only writing connection; commits at the end, or nothing is written."""
        return self._transaction("BEGIN IMMEDIATE")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        """Lends a connection for one transaction.

        Connections are kept, and transactions begun and ended below SQLAlchemy: a trial takes 25 of
        them, and between two numerical steps the processor's caches hold nothing of this. By
        `Engine.begin` one then costs 0.33 ms, so it costs 0.20 ms, of which SQLite takes 0.05 ms.
        """
        with self._turn, told_plainly(self.place):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._engine.connect()
            driver: Any = connection.connection.driver_connection
            try:
                driver.execute(begin)
                yield connection
                driver.commit()
                self._count_writes(connection.info.get(_WRITTEN, ()))
            except BaseException:
                driver.rollback()
                raise
            finally:
                connection.info.pop(_WRITTEN, None)
                self._idle.append(connection)

    def _count_writes(self, tables: Collection[str]) -> None:
        if tables:  # after the commit: who sees the count sees the rows
            with self._counting:
                self._count += 1
                self._changes |= dict.fromkeys(tables, self._count)

    def changes(self, tables: Iterable[str]) -> int:
        """Returns a count that grows when this object has written to one of the tables."""
        return max(self._changes.get(table, 0) for table in tables)

    def without_keys(self, data: Any) -> Any:
        """Returns JSON-able data in whose texts keys are blanked out: the last gate before SQL."""
        return None if data is None else redact_texts(data, self.secrets)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()


def _create_engine(path: Path | None) -> Engine:
    if path is None:
        engine = create_engine(
            "sqlite://",
            isolation_level="AUTOCOMMIT",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
        )
    else:
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",  # transactions begin where `Database` says
            pool_size=8,
            max_overflow=-1,
            connect_args={"timeout": BUSY_S},
        )
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "after_execute", _note_table)
    return engine


def _set_pragmas(dbapi_connection: sqlite3.Connection, record: object) -> None:
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL", "temp_store=MEMORY"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _note_table(connection: Connection, statement: Any, *_: object) -> None:
    if statement.is_dml:
        connection.info.setdefault(_WRITTEN, set()).add(statement.table.name)


@contextmanager
def told_plainly(place: str) -> Iterator[None]:
    """Turns the database's errors into one sentence that says what to do.

    Raises:
        ConfigError: where the file or its folder is at fault.
        VitruviusError: where the disk is full or another process keeps the lock.
    """
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        said = str(error.orig if isinstance(error, DatabaseError) else error)
        plain = _in_words(said, place)
        if plain is None:
            raise
        raise plain from error


def _in_words(said: str, place: str) -> VitruviusError | None:
    if "disk is full" in said or "disk I/O error" in said:
        return VitruviusError(
            f"cannot write {place} ({said}): free some disk space, then resume; "
            "what was recorded before is kept"
        )
    if "readonly" in said or "unable to open" in said:
        return ConfigError(
            f"cannot write {place} ({said}): make it writable or choose another home "
            "with --home or VITRUVIUS_HOME"
        )
    if "not a database" in said or "malformed" in said:
        return ConfigError(
            f"{place} is damaged or not a ledger ({said}): move it away, or put back a backup"
        )
    if "locked" in said:
        return VitruviusError(
            f"another process has kept {place} locked for {BUSY_S:g} s: end it, then try again"
        )
    if "FOREIGN KEY" in said:
        return VitruviusError(f"{place} has no such run, decision, result or principle: {said}")
    return None
