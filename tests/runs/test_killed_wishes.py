"""`kill -9` while wishes are taken up: none is lost, none is carried out twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runs.helpers import LOOKUP, SPACE

import vitruvius as vt
from vitruvius.api import create
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import WishStatus

WIDE = {"width": "16", "activation": "relu", "norm": "yes"}
KILLED = """
import os, signal, sys
import vitruvius as vt
from vitruvius.memory.ledger.database import Database

home, run, left = sys.argv[1], sys.argv[2], int(sys.argv[3])

def counted(write):
    from contextlib import contextmanager

    @contextmanager
    def committed(self):
        global left
        with write(self) as connection:
            yield connection
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return committed

Database.write = counted(Database.write)
vt.open(run, home=home).carry_out()
"""
FEW = (4, 7, 9, 11, 13)


def check_killed_after(writes: int, home: Path) -> bool:
    """Kills a driver after so many commits, drives again; returns whether the kill came in time."""
    run = create(LOOKUP, SPACE, "20 trials", home=home, workers=1, model="analyst")
    run.steer({"tool": "train", "architectures": [WIDE]})
    run.steer("width >= 8", author="ada")
    run.steer("hurry")
    run.steer({"tool": "retire", "principle": "P1"})
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), run.id, str(writes)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    vt.open(run.id, home=home).carry_out()
    with Ledger.open(home) as ledger:
        assert [w.status for w in ledger.requests.wishes(run.id)] == [WishStatus.DONE] * 4
        trials, decisions = ledger.trials.of(run.id), ledger.steps.decisions(run.id)
        assert [trial.architecture.spec for trial in trials] == [WIDE]
        assert [decision.author for decision in decisions] == ["user"]
        assert [(v.author, v.edit) for v in ledger.principles.versions("P1")] == [
            ("ada", "add"), ("user", "retire"),
        ]  # fmt: skip
        assert ledger.principles.count_versions() == 2
        assert ledger.steps.count_marks(run.id, "reflected") == 2
        assert ledger.steps.count_marks(run.id, "verified") == 2
    return done.returncode != 0


@pytest.mark.parametrize("writes", FEW)
def test_a_kill_between_taking_and_carrying_out_changes_nothing(
    tmp_path: Path, writes: int
) -> None:
    assert check_killed_after(writes, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_after_any_commit_changes_nothing(tmp_path: Path) -> None:
    writes = 1
    while check_killed_after(writes, tmp_path / str(writes)):
        writes += 1
    assert writes > max(FEW)
