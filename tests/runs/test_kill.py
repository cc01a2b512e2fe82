"""A run killed with `kill -9`, process tree and all, at random moments, and resumed each time."""

import json
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from runs.helpers import SPACE, TRAINED, command, outcome_of

import vitruvius as vt
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus

BUDGET = "16 trials"


@dataclass
class Seen:
    """Finished results as they were when they were first seen: file times and ledger rows."""

    files: dict[str, int] = field(default_factory=dict)
    rows: dict[int, tuple[str, float | None]] = field(default_factory=dict)

    def look(self, home: Path) -> None:
        """Checks that nothing seen before is lost or was made again."""
        files = {str(path): path.stat().st_mtime_ns for path in home.glob("runs/*/outcomes/*.json")}
        with Ledger.open(home) as ledger:
            trials = [t for run in ledger.runs.all() for t in ledger.trials.of(run.id)]
        rows = {t.result_id: (t.status.value, t.value) for t in trials if t.value is not None}
        for name, made in self.files.items():
            assert files[name] == made, f"{name} was lost or written again"
        for number, row in self.rows.items():
            assert rows[number] == row, f"result {number} was lost or trained again"
        self.files, self.rows = files, rows


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Stops the whole tree first, so that no child sees its parent die."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in tree:
        member.send_signal(signal.SIGSTOP)
    for member in tree:
        member.send_signal(signal.SIGKILL)
    process.wait()


def drive(home: Path, environment: dict[str, str], seed: int) -> list[str]:
    with Ledger.open(home) as ledger:
        runs = ledger.runs.all()
    if runs:
        return command("resume", runs[0].id, "--home", str(home))
    return command(
        "run", "--task", TRAINED, "--space", SPACE, "--budget", BUDGET, "--workers", "1",
        "--seed", str(seed), "--model", "analyst", "--home", str(home),
    )  # fmt: skip


def calm_run(home: Path, seed: int) -> vt.SearchRun:
    return vt.search(TRAINED, SPACE, BUDGET, home=home, workers=1, seed=seed, model="analyst")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_thirty_kills_lose_nothing_and_change_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    moments = random.Random(1)
    environment["TINY_SLEEP"] = "0.1"
    kills, seed = 0, 0
    while kills < 30:
        home, seen, is_done = tmp_path / f"killed-{seed}", Seen(), False
        while True:
            log = (tmp_path / "log.txt").open("wb")
            process = subprocess.Popen(
                drive(home, environment, seed), env=environment, stdout=log, stderr=log
            )
            try:
                process.wait(moments.uniform(1.0, 11.0))
            except subprocess.TimeoutExpired:
                kill_tree(process)
                kills += 1
            log.close()
            if (home / "ledger.db").exists():
                seen.look(home)
                with Ledger.open(home) as ledger:  # a kill may come after the last row is written
                    is_done = any(run.status == RunStatus.DONE for run in ledger.runs.all())
            if is_done or process.returncode != -signal.SIGKILL:
                break
        assert is_done, (tmp_path / "log.txt").read_text()
        with Ledger.open(home) as ledger:
            (row,) = ledger.runs.all()
            assert (home / "runs" / row.id / "report.md").exists()
            assert row.status == RunStatus.DONE
            index = PrincipleIndex(home, ledger)
            index.search("any", "tiny", {"width"}, 3)  # the next holder adds what a kill left out
            assert index.missing() == []
            index.close()
            killed_current = [v.rule.key for v in ledger.principles.current(row.id)]
        calm = calm_run(tmp_path / f"calm-{seed}", seed)
        assert outcome_of(vt.open(row.id, home=home)) == outcome_of(calm)
        with Ledger.open(calm.home) as ledger:
            assert killed_current == [v.rule.key for v in ledger.principles.current(calm.id)]
        seed += 1


def test_a_killed_driver_leaves_a_run_that_resumes(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    home = tmp_path / "home"
    environment["TINY_SLEEP"] = "0.3"
    process = subprocess.Popen(
        drive(home, environment, 0), env=environment, stdout=subprocess.DEVNULL
    )
    outcomes = home / "runs"
    deadline = time.monotonic() + 120
    while len(list(outcomes.glob("*/outcomes/*.json"))) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "workers outlived the driver"
    seen = Seen()
    seen.look(home)
    done = subprocess.run(
        [*drive(home, environment, 0), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["status"] == "done"
    seen.look(home)
