"""Runs in processes of their own: started, followed, stopped, killed, taken over."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from runs.helpers import LOOKUP, SLOW, SPACE, command, trials_of

import vitruvius as vt
from vitruvius.__main__ import main
from vitruvius.api import create
from vitruvius.errors import RunHeld
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus
from vitruvius.run.detached import follow
from vitruvius.spaces.registry import load_space

KEY = "not-a-real-key-12345"


@pytest.fixture
def started(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[vt.SearchRun, int]]:
    """A long run that a process of its own drives, and the id of that process."""
    monkeypatch.setenv("TINY_SLEEP", "1.5")
    run = new_run(home, SLOW, "400 trials")
    pid = run.start(api_key=KEY)
    yield run, pid
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)


def new_run(home: Path, task: str, budget: str, **more: Any) -> vt.SearchRun:
    given = {"workers": 1, "model": "analyst", "home": home} | more
    return create(task, SPACE, budget, **given)


def wait_for_end(pid: int) -> None:
    if psutil.pid_exists(pid):
        psutil.Process(pid).wait(60)


def up_to(events: Iterator[Event], kind: EventKind) -> Event:
    return next(event for event in events if event.kind == kind)


def exits_with(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_a_detached_run_outlives_its_shell_and_ends_as_any_other(
    home: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    shell = subprocess.run(
        command("run", "--task", LOOKUP, "--space", SPACE, "--budget", "14 trials", "--model",
                "analyst", "--workers", "auto", "--home", str(home), "--detach", "--json"),
        env=environment, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    assert shell.returncode == 0, shell.stderr
    told = json.loads(shell.stdout)
    assert exits_with("show", told["run"], "--follow", "--home", str(home)) == 0
    shown = capsys.readouterr().out
    assert "T14 " in shown
    assert f"run {told['run']} is done" in shown.splitlines()[-1]
    wait_for_end(told["pid"])
    run = vt.open(told["run"], home=home)
    assert run.record.status == RunStatus.DONE
    assert len(trials_of(run)) == 14
    assert "is done" in Path(told["log"]).read_text()
    assert f"## Best network of run {run.id}" not in shell.stderr


def test_any_shell_stops_it_and_another_driver_is_told_who_has_it(
    started: tuple[vt.SearchRun, int], capsys: pytest.CaptureFixture[str]
) -> None:
    run, pid = started
    assert os.getsid(pid) == pid  # out of reach of this terminal
    assert run.record.pid == pid
    with pytest.raises(RunHeld, match=f"is driven by process {pid}"):
        run.start()
    assert KEY not in " ".join(psutil.Process(pid).cmdline())
    events = run.follow()
    up_to(events, EventKind.TRIAL_DONE)
    assert exits_with("stop", run.id, "--home", str(run.home)) == 0
    assert up_to(events, EventKind.DONE).data["status"] == "interrupted"
    assert list(events) == []
    wait_for_end(pid)
    assert exits_with("show", run.id, "--follow", "--home", str(run.home)) == 130
    assert f"vitruvius resume {run.id}" in capsys.readouterr().err
    assert not [f for f in run.home.rglob("*") if f.is_file() and KEY.encode() in f.read_bytes()]


def test_a_follower_of_a_driver_that_is_killed_says_how_to_take_over(
    started: tuple[vt.SearchRun, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, pid = started
    events = run.follow()
    up_to(events, EventKind.TRIAL_DONE)
    os.kill(pid, signal.SIGKILL)
    *_, last = events
    assert last.data["dead"]
    assert f"process {pid} on" in last.text
    assert f"vitruvius resume {run.id}" in last.text
    assert exits_with("show", run.id, "--follow", "--home", str(run.home)) == 1
    assert exits_with("stop", run.id, "--home", str(run.home)) == 0
    assert "is dead; go on with `vitruvius resume" in capsys.readouterr().out
    found = len(trials_of(run))
    monkeypatch.setenv("TINY_SLEEP", "0")
    again = run.start()
    taken_over = run.follow()  # one log for both drivers
    up_to(taken_over, EventKind.STARTED)
    up_to(taken_over, EventKind.STARTED)
    up_to(taken_over, EventKind.TRIAL_DONE)
    run.stop()
    assert up_to(taken_over, EventKind.DONE)
    wait_for_end(again)
    assert len(trials_of(run)) > found


def test_ctrl_c_ends_the_watching_only(
    started: tuple[vt.SearchRun, int], environment: dict[str, str]
) -> None:
    run, pid = started
    watcher = subprocess.Popen(
        command("show", run.id, "--follow", "--home", str(run.home)),
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watcher.stdout is not None
    assert watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=60)
    assert watcher.returncode == 0, err
    assert f"run {run.id} goes on" in err
    assert run.record.pid == pid


def test_what_cannot_begin_says_why_in_one_sentence(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--detach", "--home", str(home)]
    assert exits_with(*words, "--task", "no-such-task") == 2
    assert exits_with(*words, "--ask") == 2
    assert exits_with(*words, "--workers", "many") == 2
    assert not list(home.glob("runs/*"))
    capsys.readouterr()
    mine = tmp_path / "mine.py"
    mine.write_text(Path(LOOKUP.partition(":")[0]).read_text())
    run = new_run(home, f"{mine}:lookup", "4 trials")
    mine.write_text(mine.read_text() + "\n")
    assert exits_with("resume", run.id, "--detach", "--home", str(home)) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("vitruvius: ")
    assert "mine.py changed since run" in sentence
    assert run.record.status == RunStatus.PENDING


def test_an_object_of_this_process_cannot_be_detached(home: Path) -> None:
    space = load_space(SPACE)
    space.ref = ""
    run = create(LOOKUP, space, "4 trials", home=home, model="analyst")
    with pytest.raises(vt.ConfigError, match=r"the space of run .* is an object of this process"):
        run.start()


def test_a_log_that_a_kill_tore_is_read_around(home: Path, search) -> None:
    run = search(budget="4 trials")
    log = home / "runs" / run.id / "log.jsonl"
    whole = list(follow(run.id, home))
    assert whole[-1].kind == EventKind.DONE
    assert len(whole) == len(log.read_text().splitlines())
    done = [event for event in whole if event.kind == EventKind.TRIAL_DONE]
    assert done[-1].data["spent"]["trials"] == 4
    assert [event.text for event in follow(run.id, home, last=2)] == [e.text for e in whole[-2:]]
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0] + lines[1][:20] + "\n" + '{"kind": "of a later release"}\n' + lines[2])
    assert [event.text for event in follow(run.id, home)] == [whole[0].text, whole[2].text]


def test_short_trainings_that_come_first_are_followed_too(home: Path, shared_data: Path) -> None:
    run = vt.search(
        f"table:{shared_data}/nas_bench_201.parquet", "nb201", "12 trials", home=home,
        model="analyst", fidelity_first="12ep",
    )  # fmt: skip
    events = list(run.follow())
    runs = [event.data["run"] for event in events if event.kind == EventKind.STARTED]
    assert runs == [run.record.parent, run.id]
    with Ledger.open(home) as ledger:
        assert ledger.runs.get(run.id).status == RunStatus.DONE


def test_following_needs_a_run(home: Path) -> None:
    with Ledger.open(home), pytest.raises(vt.ConfigError, match="there is no run"):
        next(follow("261122-aaaa", home))


def test_the_module_is_no_door_of_its_own(environment: dict[str, str], home: Path) -> None:
    order = json.dumps({"home": str(home), "settings": {}})
    done = subprocess.run(
        [sys.executable, "-m", "vitruvius.cli.drive", "261122-aaaa"],
        env=environment, input=order, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("vitruvius: there is no run")
