"""The ledger's database: one SQLite file, short transactions, no keys, errors in plain words."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from functools import lru_cache
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from vitruvius.errors import ConfigError, VitruviusError

HIDDEN = "[redacted]"
_SECRET_NAME = re.compile(r"(^|_)(key|secret|password|passwd|token|authorization)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\b(?:sk|pk|hf|gsk|xai)[-_][A-Za-z0-9_\-]{16,}|(?<=Bearer )\S{12,}")
_SHORTEST = 8  # a dummy key like "x" is no secret, and would blank out words


def redact_texts(data: Any, secrets: Iterable[str] = ()) -> Any:
    """Returns JSON-able data in which no text holds a key; names are not looked at."""
    return _walk(data, _known(secrets), by_name=False)


def redact_settings(data: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """Returns JSON-able settings without keys: also what stands under names like `api_key`."""
    settings: dict[str, Any] = _walk(data, _known(secrets), by_name=True)
    return settings


def _known(secrets: Iterable[str]) -> tuple[str, ...]:
    own = [os.environ.get(name, "") for name in os.environ if _names_a_secret(name)]
    known = {secret for secret in (*secrets, *own) if len(secret) >= _SHORTEST}
    return tuple(sorted(known, key=len, reverse=True))  # one may be part of another


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _redact(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _SECRET_TEXT.sub(HIDDEN, text)


def _walk(data: Any, secrets: tuple[str, ...], *, by_name: bool) -> Any:
    if isinstance(data, Mapping):
        return {
            str(name): HIDDEN
            if by_name and value and _SECRET_NAME.search(str(name))
            else _walk(value, secrets, by_name=by_name)
            for name, value in data.items()
        }
    if isinstance(data, Enum):
        return data.value
    if data is None or isinstance(data, bool | int | float):
        return data
    if isinstance(data, list | tuple | set | frozenset):
        return [_walk(value, secrets, by_name=by_name) for value in data]
    return _redact(str(data), secrets)


BUSY_S = 30.0
_READ, _WRITE = "BEGIN", "BEGIN IMMEDIATE"
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
        self._idle: dict[str, list[Connection]] = {_READ: [], _WRITE: []}
        self._changes: dict[str, int] = {}  # by table: the count of writes at its last one
        self._count = 0
        self._counting = Lock()

    def read(self) -> AbstractContextManager[Connection]:
        """Yields a connection that sees one state of the ledger."""
        return self._transaction(_READ)

    def write(self) -> AbstractContextManager[Connection]:
        """Yields the only writing connection; commits at the end, or nothing is written."""
        return self._transaction(_WRITE)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        """Lends a connection for one transaction.

        Connections are kept, and transactions begun and ended below SQLAlchemy: a trial takes 20 of
        them, and between two numerical steps the processor's caches hold nothing of this. By
        `Engine.begin` one then costs 0.33 ms, so it costs 0.20 ms, of which SQLite takes 0.05 ms.
        """
        with self._turn, told_plainly(self.place):
            try:
                connection = self._idle[begin].pop()
            except IndexError:
                connection = self._engine.connect()
                if begin == _WRITE:  # a listener makes each statement a third slower: no reader's
                    event.listen(connection, "after_execute", _note_table)
            driver: Any = connection.connection.driver_connection
            try:
                driver.execute(begin)
                yield connection
                driver.commit()
                self._count_writes(connection.info.get(_WRITTEN, ()))
            finally:
                if connection.invalidated:  # Ctrl-C in a statement: SQLAlchemy has closed it
                    connection.close()
                else:
                    if driver.in_transaction:
                        driver.rollback()
                    connection.info.pop(_WRITTEN, None)
                    self._idle[begin].append(connection)

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
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
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
    return engine


def _set_pragmas(dbapi_connection: sqlite3.Connection, record: object) -> None:
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL", "temp_store=MEMORY"):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _note_table(connection: Connection, statement: Any, *rest: Any) -> None:
    # An update of no row changes nothing: most decisions close no wish. An insert counts even where
    # its rows were there before: another process may have written what this one is about to see.
    if statement.is_insert or (statement.is_dml and rest[-1].rowcount):
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
