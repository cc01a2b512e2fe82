"""A run that another process drives: started there, and watched from here.

The order for such a process goes over its standard input: what is given by hand, a key included,
stands neither in the ledger nor in a list of processes. Any number of processes may watch a run; a
watcher writes nothing and holds nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vitruvius.errors import INTERRUPTED, SAYS, ConfigError, RunHeld, VitruviusError
from vitruvius.events import LOG, Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.runs import is_live
from vitruvius.memory.ledger.schema import now
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.run.short_first import driven

DRIVER_LOG = "driver.log"  # in the folder of a run: what its driver prints
ENTRY = "vitruvius.cli.drive"  # what the process runs; it stands above, so only its name is known
HELD_POLL_S = 0.1
PATIENCE_S = 300.0  # a busy machine takes its time to import torch
LOG_POLL_S = 0.3
SETTLE_S = 2.0  # the last line comes a moment after the run was let go of
GAP_S = 20.0  # between short trainings that come first and the search that they are for
_KINDS: Mapping[int, type[VitruviusError]] = {
    kind.exit_code: kind for kind in (VitruviusError, ConfigError, RunHeld)
}
_LEVELS = ("WARNING", "ERROR", "CRITICAL")


def start(run: Run, home: Path, settings: Mapping[str, Any]) -> int:
    """Starts a process that drives the run, and returns its id once it holds the run.

    Raises:
        ConfigError: the run's space or task is an object, which no other process has.
        RunHeld: another live process drives the run.
        VitruviusError: the process ended before it held the run; the sentence is its own.
    """
    for what, ref in (("space", run.space_ref), ("task", run.task_ref)):
        if not ref:
            raise ConfigError(
                f"the {what} of run {run.id} is an object of this process, which another "
                "does not have; name it as file.py:object, or drive the run here"
            )
    log = home / "runs" / run.id / DRIVER_LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    began = log.stat().st_size if log.exists() else 0
    child = _begun(run.id, log, {"home": str(home), "settings": dict(settings)})
    _wait_until_held(child, run.id, home, log, began)
    return child.pid


def _begun(run_id: str, log: Path, order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", ENTRY, run_id],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,  # a shell that ends, or its Ctrl-C, does not reach it
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        )
    try:
        assert child.stdin is not None
        with child.stdin as pipe:
            pipe.write(json.dumps(order, default=str).encode())
    except BrokenPipeError:
        pass  # it ended at once: its log says why
    return child


def _wait_until_held(
    child: subprocess.Popen[bytes], run_id: str, home: Path, log: Path, began: int
) -> None:
    deadline = time.monotonic() + PATIENCE_S
    with Ledger.open(home) as ledger:
        while (code := child.poll()) is None:
            if driven(ledger, ledger.runs.get(run_id)).pid == child.pid:
                # Its end is waited for, so that it leaves no zombie in a process that lives on.
                threading.Thread(target=child.wait, daemon=True).start()
                return
            if time.monotonic() > deadline:
                child.kill()
                child.wait()
                raise VitruviusError(
                    f"the process for run {run_id} did not begin within {PATIENCE_S:.0f} s and "
                    f"was ended; {log} may say why"
                )
            time.sleep(HELD_POLL_S)
    if code not in (0, INTERRUPTED):  # else it was quick, and is done
        raise _KINDS.get(code, VitruviusError)(_last_words(log, began, code))


def _last_words(log: Path, began: int, code: int) -> str:
    """Returns what the process said last, which is one sentence where the error is ours."""
    lines = log.read_bytes()[began:].decode(errors="replace").splitlines()
    for line in reversed(lines):  # a live driver of the same run may write between
        if line.startswith(SAYS):
            return line.removeprefix(SAYS)
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"the run's process ended with code {code}: {last}; more in {log}"


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
        time.sleep(LOG_POLL_S)
        new = tail.new()


def _wait_for_next(ledger: Ledger, run: Run) -> None:
    """Waits for the search that short trainings were made for, if they ended just now."""
    while run.status == RunStatus.PENDING and run.parent is not None:
        short = ledger.runs.get(run.parent)
        if short.finished is None or (now() - short.finished).total_seconds() > GAP_S:
            return
        time.sleep(LOG_POLL_S)
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
