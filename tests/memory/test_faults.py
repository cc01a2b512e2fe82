"""A full disk, a home that cannot be written, a kill, a damaged file: clear, and nothing lost."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import event

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.memory.ledger import database
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, Run

NewRun = Callable[..., Run]
NewTrials = Callable[..., list[NewTrial]]
NOBODY = 65534
SOURCE = str(Path(__file__).parents[2] / "src")
WRITER = """
import sys
from pathlib import Path
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, Origin, ResultStatus
from vitruvius.spaces.space import Architecture

ledger, run_id = Ledger.open(Path(sys.argv[1])), sys.argv[2]
number = len(ledger.trials.of(run_id))
while True:
    number += 1
    new = NewTrial(
        architecture=Architecture.of(number), fidelity="8ep", seed=0, origin=Origin.EXPLORE
    )
    (trial,) = ledger.trials.open(run_id, None, [new])
    ledger.results.start(trial.result_id, "driver")
    ledger.results.close(trial.result_id, status=ResultStatus.DONE, value=float(number))
    print(trial.number, flush=True)
"""


def test_a_kill_loses_no_acknowledged_result(tmp_path: Path, new_run: NewRun) -> None:
    ledger = Ledger.open(tmp_path)
    run = new_run(ledger)
    rng = random.Random(0)
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), run.id],
            env={"PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        acknowledged = int(writer.stdout.readline())
        time.sleep(rng.uniform(0.0, 0.1))
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged = max([acknowledged, *map(int, rest.split("\n")[:-1])])
        trials = ledger.trials.of(run.id)
        assert [trial.number for trial in trials] == list(range(1, len(trials) + 1))
        # at most the trial under way at each kill has no value
        assert all(trial.value == trial.number for trial in trials if not trial.status.is_open)
        assert trials[acknowledged - 1].value == acknowledged
        assert len(trials) - acknowledged <= 1
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    ledger.close()


def test_a_full_disk_is_told_and_loses_nothing(
    ledger: Ledger, new_run: NewRun, new_trials: NewTrials, reopen: Callable[[], Ledger]
) -> None:
    run = new_run(ledger)

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 90")

    ledger._database.close()
    event.listen(ledger._database._engine, "connect", limit)
    opened = []

    def fill() -> None:
        for number in count():
            names = [f"{number}-{n}-{'x' * 200}" for n in range(5)]
            opened.extend(ledger.trials.open(run.id, None, new_trials(*names)))

    with pytest.raises(VitruviusError, match="free some disk space, then resume"):
        fill()
    assert opened
    other = reopen()  # with room again
    assert other.trials.of(run.id) == opened
    assert len(other.trials.open(run.id, None, new_trials("after"))) == 1
    other.close()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Lets the test's second half run as a user who owns nothing."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(before)


@pytest.fixture
def shut_home(public_folder: Path) -> Iterator[Path]:
    """A home with a ledger that nobody may write any more."""
    home = public_folder / "home"
    Ledger.open(home).close()
    for file in home.iterdir():
        file.chmod(0o444)
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


def test_a_home_that_cannot_be_made(shut_home: Path, unprivileged: None) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*--home"):
        Ledger.open(shut_home / "inner")


def test_a_home_that_cannot_be_written(shut_home: Path, unprivileged: None) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .*VITRUVIUS_HOME"):
        Ledger.open(shut_home)


def test_a_file_that_cannot_be_written(shut_home: Path) -> None:
    before = os.geteuid()
    shut_home.chmod(0o777)
    os.seteuid(NOBODY if before == 0 else before)
    try:
        with pytest.raises(ConfigError, match=r"cannot write .*ledger\.db"):
            Ledger.open(shut_home)
    finally:
        os.seteuid(before)


def test_a_damaged_page_is_told(tmp_path: Path, new_run: NewRun) -> None:
    ledger = Ledger.open(tmp_path)
    run = new_run(ledger)
    ledger.close()
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'runs'"
        ).fetchone()
    content = bytearray(path.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\x55" * 4096
    path.write_bytes(content)
    ledger = Ledger.open(tmp_path)
    with pytest.raises(ConfigError, match="damaged or not a ledger"):
        ledger.runs.get(run.id)
    ledger.close()


def test_a_lock_that_is_kept_is_told(
    tmp_path: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    ledger = Ledger.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(VitruviusError, match="another process has kept"):
            new_run(ledger)
        assert ledger.runs.all() == []  # readers do not wait for writers
        connection.rollback()
    new_run(ledger)
    ledger.close()
