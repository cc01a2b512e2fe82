"""Homes that cannot be written, disks that are full: a clear sentence, and nothing lost."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs.helpers import LOOKUP, SPACE, command, outcome_of

import vitruvius as vt
from vitruvius.memory.ledger.ledger import Ledger

NOBODY = 65534
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root"
)


def search_command(home: Path, *more: str) -> list[str]:
    return command(
        "run", "--task", LOOKUP, "--space", SPACE, "--budget", "40 trials", "--workers", "1",
        "--model", "analyst", "--home", str(home), *more,
    )  # fmt: skip


def assert_one_sentence(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode not in (0, -9), done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.strip()) > 20, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs another user")
@root_only
def test_a_home_that_cannot_be_written(tmp_path: Path, environment: dict[str, str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o555)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if "pytest-of-" in str(parent):
            parent.chmod(0o755)
    as_nobody = (  # what is imported late must be imported before: nobody may not read it
        "import os, sys, vitruvius.api, vitruvius.cli.live, vitruvius.__main__ as door; "
        f"os.setgid({NOBODY}); os.setuid({NOBODY}); sys.exit(door.main())"
    )
    environment["HOME"] = str(tmp_path)
    words = search_command(home)[3:]
    done = subprocess.run(
        [sys.executable, "-c", as_nobody, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_sentence(done)
    assert str(home) in done.stderr
    assert list(home.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MiB."""
    mount = shutil.which("mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if not made or made.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@root_only
@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_room_resumes_it(
    small_disk: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = small_disk / "home"
    started = subprocess.run(
        search_command(home),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    ballast = small_disk / "ballast"
    if started.returncode == 0:
        ballast.write_bytes(b"x" * shutil.disk_usage(small_disk).free)
        started = subprocess.run(
            search_command(home, "--seed", "1"),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert_one_sentence(started)
    assert "full" in started.stderr or "space" in started.stderr
    ballast.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    with Ledger.open(home) as ledger:
        unfinished = [run for run in ledger.runs.all() if run.status != "done"]
        before = {t.result_id: t.value for run in unfinished for t in ledger.trials.of(run.id)}
    for run in unfinished:
        resumed = vt.open(run.id, home=home)
        resumed.resume()
        after = {trial[0]: trial[5] for trial in outcome_of(resumed)}
        assert len(after) == 40
    with Ledger.open(home) as ledger:
        now = {t.result_id: t.value for run in unfinished for t in ledger.trials.of(run.id)}
    assert all(now[key] == value for key, value in before.items() if value is not None)
