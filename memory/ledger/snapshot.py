"""A recording: the ledger as it stood around one run, in one file, and the way back to its start.

What a replay needs is all in the ledger: who was asked what and what they said, what was recalled,
what the program's settings were. A recording is therefore a ledger that holds nothing younger than
the run; rewound, it holds the memory that the run began with and the run itself, not yet started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.database import told_plainly
from vitruvius.memory.ledger.file import connected, copy_file

RECORDING = "recording.db"  # beside the ledger of a home that is a replay

# Rows of runs, children first.
_OF_RUNS = (
    "evidence", "adoptions", "cuts", "calls", "marks", "trials", "messages", "wishes", "decisions",
)  # fmt: skip
_YOUNGER = "(SELECT id FROM runs WHERE created > (SELECT created FROM runs WHERE id = :run))"


def write_recording(ledger: Path, run_id: str, target: Path) -> None:
    """Writes what a replay of a run needs into one file; the ledger stays as it is.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already; name a new file")
    if not target.parent.is_dir():
        raise ConfigError(f"cannot write {target}: there is no folder {target.parent}")
    with _copied(ledger, target) as connection:
        _drop_runs(connection, run_id, f"IN {_YOUNGER}")
        _drop_versions(
            connection,
            run_id,
            "run_id IS NULL AND created > COALESCE((SELECT finished FROM runs WHERE id = :run), "
            "(SELECT max(created) FROM calls WHERE run_id = :run))",
        )
        connection.execute(text(f"DELETE FROM runs WHERE id IN {_YOUNGER}"), {"run": run_id})
        _drop_orphans(connection)


def rewind(recording: Path, run_id: str, target: Path, *, reuse: bool) -> None:
    """Writes the ledger as it stood when the run was made, the run waiting in it.

    Args:
        recording: of `write_recording`.
        run_id: the run to bring back to its start.
        target: the new ledger file.
        reuse: whether trainings of the run need not be done again; else its results are dropped.
    """
    with _copied(recording, target) as connection:
        task = "(SELECT task_id FROM runs WHERE id = :run)"
        asked = _asked(connection, run_id)
        _drop_runs(connection, run_id, "= :run")
        _ask_again(connection, asked)
        _drop_versions(
            connection,
            run_id,
            "run_id IS NULL AND created > (SELECT created FROM runs WHERE id = :run)",
        )
        if not reuse:
            connection.execute(
                text(
                    f"DELETE FROM results WHERE task_id = {task} "
                    "AND id NOT IN (SELECT result_id FROM trials)"
                ),
                {"run": run_id},
            )
        connection.execute(
            text(
                "UPDATE runs SET status = 'pending', finished = NULL, driver = NULL, host = NULL, "
                "pid = NULL, heartbeat = NULL, stop_requested = 0, wall_s = 0 WHERE id = :run"
            ),
            {"run": run_id},
        )
        _drop_orphans(connection)


def _asked(connection: Connection, run_id: str) -> list[Row[Any]]:
    """Returns what people had asked of the run and its driver had taken up."""
    rows = connection.execute(
        text(
            "SELECT id, run_id, created, author, call, step FROM wishes "
            "WHERE run_id = :run AND step IS NOT NULL AND status != 'open'"
        ),
        {"run": run_id},
    )
    return list(rows)


def _ask_again(connection: Connection, asked: list[Row[Any]]) -> None:
    """Leaves the wishes open, to be taken up where they were."""
    again = text(
        "INSERT INTO wishes (id, run_id, created, author, call, step, status, words) "
        "VALUES (:id, :run_id, :created, :author, :call, :step, 'open', '')"
    )
    for wish in asked:
        connection.execute(again, wish._asdict())


def repoint(ledger: Path, run_id: str, *, task_ref: str, space_ref: str, sources: str) -> None:
    """Lets a run find its task and space in other places, with the same digests.

    Args:
        ledger: the file.
        run_id: the run.
        task_ref: of the same task.
        space_ref: of the same space.
        sources: the user's files and their digests, as JSON.
    """
    with connected(ledger) as connection:
        connection.execute(
            text(
                "UPDATE runs SET task_ref = :task, space_ref = :space, sources = :sources "
                "WHERE id = :run"
            ),
            {"task": task_ref, "space": space_ref, "sources": sources, "run": run_id},
        )
        connection.commit()


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[Connection]:
    """Yields a connection to a copy; compacts it and checks its references at the end."""
    with told_plainly(str(target)):
        copy_file(source, target)
        with connected(target) as new:
            new.exec_driver_sql("PRAGMA foreign_keys=OFF")
            yield new
            new.commit()
            broken = list(new.exec_driver_sql("PRAGMA foreign_key_check"))
            if broken:
                raise ConfigError(f"{source} has rows that refer to nothing: {broken[:3]}")
            new.commit()  # VACUUM wants no transaction
            new.exec_driver_sql("VACUUM")


def _drop_runs(connection: Connection, run_id: str, which: str) -> None:
    """Deletes what runs did, and the versions that they wrote; their rows in `runs` stay."""
    given = {"run": run_id}
    _drop_versions(connection, run_id, f"run_id {which}")
    for table in _OF_RUNS:
        connection.execute(text(f"DELETE FROM {table} WHERE run_id {which}"), given)
    connection.execute(text(f"UPDATE results SET run_id = NULL WHERE run_id {which}"), given)


def _drop_versions(connection: Connection, run_id: str, which: str) -> None:
    gone = f"(SELECT principle, version FROM versions WHERE {which})"
    for table in ("vectors", "evidence", "adoptions"):
        connection.execute(
            text(f"DELETE FROM {table} WHERE (principle, version) IN {gone}"), {"run": run_id}
        )
    connection.execute(text(f"DELETE FROM versions WHERE {which}"), {"run": run_id})


def _drop_orphans(connection: Connection) -> None:
    """Deletes open results that nobody waits for any more."""
    connection.execute(
        text(
            "DELETE FROM results WHERE id NOT IN (SELECT result_id FROM trials) "
            "AND status IN ('pending', 'running')"
        )
    )
