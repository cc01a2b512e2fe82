"""Runs: made, found, driven by one process at a time."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path

import pytest
from sqlalchemy import update

from vitruvius.budget import Budget
from vitruvius.errors import ConfigError, RunHeld
from vitruvius.memory.ledger import runs, schema
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, Run, RunStatus

NewRun = Callable[..., Run]


def change_run(ledger: Ledger, run_id: str, **values: object) -> None:
    with ledger._database.write() as connection:
        connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))


def test_a_run_comes_back_as_it_was_made(ledger: Ledger, new_run: NewRun) -> None:
    made = new_run(
        ledger,
        budget=Budget(trials=3, dollars=0.5),
        settings={"model": "analyst", "workers": 2},
        sources={"my.py": "ab12"},
    )
    assert ledger.runs.get(made.id) == made
    assert made.status == RunStatus.PENDING
    assert made.budget == Budget(trials=3, dollars=0.5)
    assert made.settings == {"model": "analyst", "workers": 2}
    assert made.id[:6] == f"{datetime.now(UTC):%y%m%d}"


def test_a_child_knows_its_parent(ledger: Ledger, new_run: NewRun) -> None:
    parent = new_run(ledger)
    assert new_run(ledger, parent=parent.id).parent == parent.id


def test_an_unknown_run_is_answered_with_the_nearest(ledger: Ledger, new_run: NewRun) -> None:
    made = new_run(ledger)
    wrong = made.id[:-1] + ("0" if made.id[-1] != "0" else "1")
    with pytest.raises(ConfigError, match=f"did you mean {made.id}"):
        ledger.runs.get(wrong)
    with pytest.raises(ConfigError, match="vitruvius runs"):
        ledger.runs.get("???")


def test_runs_are_listed_newest_first(ledger: Ledger, new_run: NewRun) -> None:
    ids = [new_run(ledger).id for _ in range(5)]
    assert [run.id for run in ledger.runs.all()] == ids[::-1]


def test_times_are_stored_in_utc(
    ledger: Ledger, new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        run = new_run(ledger)
        assert ledger.runs.get(run.id).created.utcoffset() == timedelta(0)
        with closing(sqlite3.connect(tmp_path / "home/ledger.db")) as connection:
            (stored,) = connection.execute("SELECT created FROM runs").fetchone()
    finally:
        monkeypatch.undo()
        time.tzset()
    told = datetime.fromisoformat(stored).replace(tzinfo=UTC)
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)


def test_one_live_driver_holds_a_run(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "first")
    with pytest.raises(RunHeld, match=r"vitruvius stop"):
        ledger.runs.claim(run.id, "second")
    ledger.runs.claim(run.id, "first")
    ledger.runs.release(run.id, "first", RunStatus.INTERRUPTED)
    ledger.runs.claim(run.id, "second")
    held = ledger.runs.get(run.id)
    assert (held.driver, held.status) == ("second", RunStatus.RUNNING)


def test_a_stale_heartbeat_frees_a_run(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "first")
    change_run(ledger, run.id, host="elsewhere", heartbeat=datetime.now(UTC))
    with pytest.raises(RunHeld):
        ledger.runs.claim(run.id, "second")
    old = datetime.now(UTC) - timedelta(seconds=runs.STALE_S + 1)
    change_run(ledger, run.id, heartbeat=old)
    ledger.runs.claim(run.id, "second")
    with pytest.raises(RunHeld, match="another has taken it"):
        ledger.runs.beat(run.id, "first", 1.0)


def test_a_dead_process_frees_a_run_at_once(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "first")
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    change_run(ledger, run.id, pid=dead.pid)
    ledger.runs.claim(run.id, "second")
    assert ledger.runs.get(run.id).driver == "second"


def test_a_zombie_is_dead(ledger: Ledger) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert zombie.stdout is not None
    zombie.stdout.read()  # ends with the process, which nobody has waited for yet
    deadline = time.monotonic() + 10
    while runs._is_running(zombie.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs._is_running(zombie.pid)
    zombie.stdout.close()
    zombie.wait()


def test_a_beat_books_time_and_tells_of_a_stop(
    ledger: Ledger, new_run: NewRun, reopen: Callable[[], Ledger]
) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "driver")
    assert ledger.runs.beat(run.id, "driver", 1.5) is False
    other = reopen()
    other.runs.request_stop(run.id)
    other.close()
    assert ledger.runs.beat(run.id, "driver", 2.0) is True
    assert ledger.steps.spent(run.id).wall_s == 3.5
    ledger.runs.release(run.id, "driver", RunStatus.INTERRUPTED)
    ledger.runs.claim(run.id, "driver")
    assert ledger.runs.beat(run.id, "driver", 0.0) is False


def test_only_the_driver_lets_go(ledger: Ledger, new_run: NewRun) -> None:
    run = new_run(ledger)
    ledger.runs.claim(run.id, "driver")
    ledger.runs.release(run.id, "stranger", RunStatus.DONE)
    assert ledger.runs.get(run.id).driver == "driver"
    ledger.runs.release(run.id, "driver", RunStatus.DONE)
    done = ledger.runs.get(run.id)
    assert (done.status, done.driver) == (RunStatus.DONE, None)
    assert done.finished is not None


@pytest.mark.parametrize("call", ["runs.claim", "runs.request_stop", "steps.spent", "trials.open"])
def test_an_unknown_run_is_named(
    ledger: Ledger, new_trials: Callable[..., list[NewTrial]], call: str
) -> None:
    rest = {"runs.claim": ("driver",), "trials.open": (None, new_trials("a"))}.get(call, ())
    with pytest.raises(ConfigError, match="no run 'nothing'"):
        attrgetter(call)(ledger)("nothing", *rest)
