"""The ledger's file: made where there is none, upgraded where old, refused where newer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.engine import URL

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger import schema
from vitruvius.memory.ledger.database import BUSY_S, told_plainly

if TYPE_CHECKING:
    from alembic.config import Config

# All revisions under migrations/versions, oldest first. Kept here because importing Alembic takes
# 0.2 s, which only an upgrade should cost; a test compares it with Alembic's own list.
REVISIONS = ("0001", "0002", "0003", "0004")


def prepare_file(path: Path, revisions: tuple[str, ...] = REVISIONS) -> None:
    """Makes sure that a ledger of the newest revision lies at `path`.

    Raises:
        ConfigError: where it cannot be written, is damaged, not a ledger, or newer.
    """
    _check_writable(path)
    with told_plainly(str(path)):
        if _revision(path) == revisions[-1]:
            return
        with _alone(path.with_suffix(".lock")):  # two first openings: one makes, one finds
            revision = _revision(path)
            if revision is None:
                _create(path, revisions[-1])
            elif revision not in revisions:
                raise ConfigError(
                    f"{path} was written by a newer Vitruvius (revision {revision}; this one knows "
                    f"{revisions[-1]}): upgrade Vitruvius, or choose another home with --home"
                )
            elif revision != revisions[-1]:
                upgrade(path, revision)


def create_tables(connection: Connection, revision: str = REVISIONS[-1]) -> None:
    """Makes every table and notes the revision that they have."""
    schema.metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revision,))


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(_unwritable(path.parent, error.strerror or str(error))) from error
    for place in (path.parent, path):
        if place.exists() and not _may_write(place):
            raise ConfigError(_unwritable(place, "permission denied"))


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _unwritable(path: Path, why: str) -> str:
    return (
        f"cannot write {path} ({why}): make it writable, or choose another home with --home "
        "or VITRUVIUS_HOME"
    )


def _revision(path: Path) -> str | None:
    """Returns the revision of the file's tables, or None where it has no tables.

    Raises:
        ConfigError: where the tables are another program's.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with connected(path) as connection:
        names = set(connection.scalars(text("SELECT name FROM sqlite_master")))
        if not names:
            return None
        if "alembic_version" not in names:
            raise ConfigError(f"{path} is not a Vitruvius ledger: move it away")
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _create(path: Path, revision: str) -> None:
    with connected(path) as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        create_tables(connection, revision)
        connection.commit()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Holds the lock file, so that one process at a time makes or changes tables."""
    try:
        file = lock.open("w")
    except OSError as error:
        raise ConfigError(_unwritable(lock, error.strerror or str(error))) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def upgrade(path: Path, revision: str, migrations: Path | None = None) -> Path:
    """Upgrades the ledger at `path` from `revision`; returns its backup.

    A step that fails leaves the ledger as it was. `migrations` is another folder of scripts than
    the package's own, for tests.
    """
    backup = path.with_name(f"{path.name}.{revision}-{schema.now():%Y%m%dT%H%M%S}.backup")
    copy_file(path, backup)
    with as_file(files("vitruvius.memory.ledger") / "migrations") as own:
        _run_scripts(path, migrations or own)
    return backup


def _run_scripts(path: Path, migrations: Path) -> None:
    from alembic import command

    config = _config(migrations)
    with connected(path) as connection:
        # tables that are copied and dropped must not take rows that refer to them along
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _config(migrations: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def copy_file(source: Path, target: Path) -> None:
    """Copies a database that others may be writing to, as it stands at one moment."""
    with connected(source) as old, connected(target) as new:
        source_file: Any = old.connection.driver_connection
        source_file.backup(new.connection.driver_connection)


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    """Yields a connection to the file alone, with no pragma set and no transaction begun."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_S})
    with engine.connect() as connection:
        yield connection
