"""A recording: the ledger as it stood around one run, in one file, and the way back to its start.

What a replay needs is all in the ledger: who was asked what and what they said, what was recalled,
what the program's settings were. A recording is therefore a ledger that holds nothing younger than
the run; rewound, it holds the memory that the run began with and the run itself, not yet started.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.database import BUSY_S, told_plainly

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
        connection.execute(f"DELETE FROM runs WHERE id IN {_YOUNGER}", {"run": run_id})
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
                f"DELETE FROM results WHERE task_id = {task} "
                "AND id NOT IN (SELECT result_id FROM trials)",
                {"run": run_id},
            )
        connection.execute(
            "UPDATE runs SET status = 'pending', finished = NULL, driver = NULL, host = NULL, "
            "pid = NULL, heartbeat = NULL, stop_requested = 0, wall_s = 0 WHERE id = :run",
            {"run": run_id},
        )
        _drop_orphans(connection)


def _asked(connection: sqlite3.Connection, run_id: str) -> list[tuple[object, ...]]:
    """Returns what people had asked of the run and its driver had taken up."""
    rows = connection.execute(
        "SELECT id, run_id, created, author, call, step FROM wishes "
        "WHERE run_id = ? AND step IS NOT NULL AND status != 'open'",
        (run_id,),
    )
    return rows.fetchall()


def _ask_again(connection: sqlite3.Connection, asked: list[tuple[object, ...]]) -> None:
    """Leaves the wishes open, to be taken up where they were."""
    connection.executemany(
        "INSERT INTO wishes (id, run_id, created, author, call, step, status, words) "
        "VALUES (?, ?, ?, ?, ?, ?, 'open', '')",
        asked,
    )


def repoint(ledger: Path, run_id: str, *, task_ref: str, space_ref: str, sources: str) -> None:
    """Lets a run find its task and space in other places, with the same digests.

    Args:
        ledger: the file.
        run_id: the run.
        task_ref: of the same task.
        space_ref: of the same space.
        sources: the user's files and their digests, as JSON.
    """
    with closing(sqlite3.connect(ledger, timeout=BUSY_S)) as connection:
        connection.execute(
            "UPDATE runs SET task_ref = ?, space_ref = ?, sources = ? WHERE id = ?",
            (task_ref, space_ref, sources, run_id),
        )
        connection.commit()


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[sqlite3.Connection]:
    """Yields a connection to a copy; compacts it and checks its references at the end."""
    with (
        told_plainly(str(target)),
        closing(sqlite3.connect(source, timeout=BUSY_S)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA foreign_keys=OFF")
        yield new
        new.commit()
        broken = new.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise ConfigError(f"{source} has rows that refer to nothing: {broken[:3]}")
        new.execute("VACUUM")


def _drop_runs(connection: sqlite3.Connection, run_id: str, which: str) -> None:
    """Deletes what runs did, and the versions that they wrote; their rows in `runs` stay."""
    given = {"run": run_id}
    _drop_versions(connection, run_id, f"run_id {which}")
    for table in _OF_RUNS:
        connection.execute(f"DELETE FROM {table} WHERE run_id {which}", given)
    connection.execute(f"UPDATE results SET run_id = NULL WHERE run_id {which}", given)


def _drop_versions(connection: sqlite3.Connection, run_id: str, which: str) -> None:
    gone = f"(SELECT principle, version FROM versions WHERE {which})"
    for table in ("vectors", "evidence", "adoptions"):
        connection.execute(
            f"DELETE FROM {table} WHERE (principle, version) IN {gone}", {"run": run_id}
        )
    connection.execute(f"DELETE FROM versions WHERE {which}", {"run": run_id})


def _drop_orphans(connection: sqlite3.Connection) -> None:
    """Deletes open results that nobody waits for any more."""
    connection.execute(
        "DELETE FROM results WHERE id NOT IN (SELECT result_id FROM trials) "
        "AND status IN ('pending', 'running')"
    )
