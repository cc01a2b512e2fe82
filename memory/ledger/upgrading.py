"""Upgrading an older ledger: backed up first, then all steps in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.engine import URL

from vitruvius.memory.ledger.schema import now


def upgrade(path: Path, revision: str, migrations: Path | None = None) -> Path:
    """Upgrades the ledger at `path` from `revision`; returns its backup.

    A step that fails leaves the ledger as it was. `migrations` is another folder of scripts than
    the package's own, for tests.
    """
    backup = path.with_name(f"{path.name}.{revision}-{now():%Y%m%dT%H%M%S}.backup")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    with as_file(files("vitruvius.memory.ledger") / "migrations") as own:
        _run_scripts(path, migrations or own)
    return backup


def _run_scripts(path: Path, migrations: Path) -> None:
    engine = create_engine(URL.create("sqlite", database=str(path)))
    config = _config(migrations)
    try:
        with engine.connect() as connection:
            # tables that are copied and dropped must not take rows that refer to them along
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    finally:
        engine.dispose()


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
