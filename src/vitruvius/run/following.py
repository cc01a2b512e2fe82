"""Watching a run from outside: the events in its log, as they come, until it ends.

Any number of processes may watch. A watcher writes nothing and holds nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from vitruvius.events import LOG, Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.runs import is_live
from vitruvius.memory.ledger.schema import now
from vitruvius.memory.records import Run, RunKind, RunStatus

POLL_S = 0.3
SETTLE_S = 2.0  # the last line comes a moment after the run was let go of
GAP_S = 20.0  # between short trainings that come first and the search that they are for
_LEVELS = ("WARNING", "ERROR", "CRITICAL")


def follow(run_id: str, home: Path, last: int | None = None) -> Iterator[Event]:
    """Yields the run's events as they are logged, and ends when the run does.

    The data of an event are plain JSON, with the `time` at which it was logged. Where the process
    that drives the run is dead, the last event is a warning that says so, with `dead` in its data.

    Args:
        run_id: a run in any state; the log of one that has ended is read to its end.
        home: of its ledger.
        last: how many events of the past come first; None for all.

    Raises:
        ConfigError: there is no such run.
    """
    with Ledger.open(home) as ledger:
        run = ledger.runs.get(run_id)
        if run.kind == RunKind.SEARCH and run.parent is not None:
            yield from _until_it_ends(ledger, run.parent, home, last)
            _wait_for_next(ledger, run)
        yield from _until_it_ends(ledger, run_id, home, last)


def _until_it_ends(ledger: Ledger, run_id: str, home: Path, last: int | None) -> Iterator[Event]:
    tail = Tail(home / "runs" / run_id / LOG)
    ended: float | None = None
    told: Event | None = None
    new = tail.new()
    skipped = 0 if last is None else max(0, len(new) - last)
    while True:
        yield from new[skipped:]
        told, skipped = new[-1] if new else told, 0
        run = ledger.runs.get(run_id)
        if run.status == RunStatus.RUNNING:
            ended = None
            if not is_live(run.host, run.pid, run.heartbeat, now()):
                yield from tail.new()
                yield _dead(run)
                return
        else:
            ended = time.monotonic() if ended is None else ended
            is_told = told is not None and told.kind == EventKind.DONE
            if time.monotonic() - ended > SETTLE_S or is_told or run.status == RunStatus.PENDING:
                yield from tail.new()
                return
        time.sleep(POLL_S)
        new = tail.new()


def _wait_for_next(ledger: Ledger, run: Run) -> None:
    """Waits for the search that short trainings were made for, if they ended just now."""
    while run.status == RunStatus.PENDING and run.parent is not None:
        short = ledger.runs.get(run.parent)
        if short.finished is None or (now() - short.finished).total_seconds() > GAP_S:
            return
        time.sleep(POLL_S)
        run = ledger.runs.get(run.id)


def _dead(run: Run) -> Event:
    return Event(
        kind=EventKind.WARNING,
        text=f"process {run.pid} on {run.host}, which drove run {run.id}, is dead; what was "
        f"finished is kept: take over with `vitruvius resume {run.id}`",
        data={"dead": True, "run": run.id},
    )


class Tail:
    """A log that grows: each look returns the events of the lines that became whole since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> list[Event]:
        """Returns the events since the last look; none while there is no file."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        found = (_event(line) for line in whole.splitlines())
        return [event for event in found if event is not None]


def _event(line: bytes) -> Event | None:
    """Returns the event of a line; None for one that a kill tore, or of a kind not known here."""
    try:
        row = json.loads(line)
        kind, text, data = str(row["kind"]), str(row["text"]), dict(row.get("data") or {})
        time_, level = str(row["time"]), str(row["level"])
    except (ValueError, KeyError, TypeError):
        return None
    if kind not in set(EventKind):
        if level not in _LEVELS:
            return None
        kind = EventKind.WARNING
    return Event(kind=EventKind(kind), text=text, data=data | {"time": time_})
