"""Two processes and one run: one drives, any number read."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs.helpers import SPACE, TRAINED, command

from vitruvius.memory.ledger.ledger import Ledger


@pytest.fixture
def driven(tmp_path: Path, environment: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """A run that another process drives and that will not end by itself soon."""
    home = tmp_path / "home"
    environment["TINY_SLEEP"] = "0.5"
    process = subprocess.Popen(
        command("run", "--task", TRAINED, "--space", SPACE, "--budget", "500 trials",
                "--workers", "1", "--model", "analyst", "--home", str(home)),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    run_id = ""
    while True:
        assert time.monotonic() < deadline
        assert process.poll() is None
        if (home / "ledger.db").exists():
            with Ledger.open(home) as ledger:
                runs = ledger.runs.all()
                if runs and any(t.value is not None for t in ledger.trials.of(runs[0].id)):
                    run_id = runs[0].id
                    break
        time.sleep(0.1)
    yield home, run_id
    if process.poll() is None:
        process.kill()
    process.wait()


def test_a_second_driver_is_told_who_holds_the_run(
    driven: tuple[Path, str], environment: dict[str, str]
) -> None:
    home, run_id = driven
    second = subprocess.run(
        command("resume", run_id, "--home", str(home)),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 3
    assert "is driven by process" in second.stderr
    assert "Traceback" not in second.stderr


def test_readers_beside_a_driver_and_a_stop_from_outside(
    driven: tuple[Path, str], environment: dict[str, str]
) -> None:
    home, run_id = driven
    for words in (["show", run_id], ["runs"], ["report", run_id], ["principles", "list"]):
        reader = subprocess.run(
            command(*words, "--home", str(home)),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert reader.returncode == 0, reader.stderr
    asked = subprocess.run(
        command("stop", run_id, "--home", str(home)),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    deadline = time.monotonic() + 60
    while True:
        with Ledger.open(home) as ledger:
            run = ledger.runs.get(run_id)
        if run.status == "interrupted":
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (home / "runs" / run_id / "report.md").exists()


def test_ctrl_c_stops_and_says_how_to_go_on(tmp_path: Path, environment: dict[str, str]) -> None:
    home = tmp_path / "home"
    environment["TINY_SLEEP"] = "0.3"
    process = subprocess.Popen(
        command("run", "--task", TRAINED, "--space", SPACE, "--budget", "500 trials",
                "--workers", "1", "--model", "analyst", "--home", str(home)),
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(home.glob("runs/*/outcomes/*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "resume" in text
    assert "Traceback" not in text


SIGNALLED = """
import signal, sys, threading, time
import vitruvius as vt

def to_this_thread(event):
    if event.kind == "trial_done" and event.data["trial"] == "T1":
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

task, space, home = sys.argv[1:]
run = vt.search(task, space, "500 trials", workers=1, model="analyst", home=home,
                on_event=to_this_thread)
print(run.record.status, len(run.trials))
"""


def test_an_interrupt_that_another_thread_receives_stops_the_run(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, TRAINED, SPACE, str(tmp_path / "home")],
        env=environment | {"TINY_SLEEP": "0.3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, trials = done.stdout.split()
    assert status == "interrupted"
    assert int(trials) < 20
