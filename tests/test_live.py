"""Progress on a terminal, in a pipe, and under Ctrl-C."""

import contextlib
import io
import os
import signal
import sys
import time
from typing import Any

import pytest
from rich.console import Console

from vitruvius.budget import Budget
from vitruvius.cli import live
from vitruvius.cli.live import STOPPING, TerminalProgress
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind
from vitruvius.memory.records import ResultStatus, Spent
from vitruvius.tasks.task import Metric


def started(direction: Any = "max") -> Event:
    return Event(
        kind=EventKind.STARTED,
        text="run 261122-aaaa: digits on macro",
        data={
            "run": "261122-aaaa",
            "budget": Budget(trials=10, wall_s=100.0),
            "metric": Metric(name="accuracy", direction=direction, unit="%"),
        },
    )


def done(number: int, value: float | None) -> Event:
    return Event(
        kind=EventKind.TRIAL_DONE,
        text=f"T{number} says \x1b[31m[bold]hello[/bold]",
        data={
            "trial": f"T{number}",
            "value": value,
            "spent": Spent(trials=number, wall_s=10.0, tokens=0, dollars=0.0),
        },
    )


def shown(progress: TerminalProgress) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(progress._panel())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress() as progress:
        progress(started())
        progress(Event(kind=EventKind.TRIAL_STARTED, text="T1 started"))
        progress(done(1, 50.0))
        progress(Event(kind=EventKind.WARNING, text="disk is nearly full"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "00:00 run 261122-aaaa: digits on macro",
        "00:00 T1 says [31m[bold]hello[/bold] (best so far)",
        "00:00 warning: disk is nearly full",
    ]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress(quiet=True) as progress:
        progress(started())
        progress(done(1, 50.0))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("direction", "best"), [("max", "70"), ("min", "50")])
def test_the_panel_shows_account_and_best(direction: str, best: str) -> None:
    progress = TerminalProgress()
    progress(started(direction))
    for number, value in enumerate((60.0, 70.0, 50.0, None), start=1):
        progress(done(number, value))
    text = shown(progress)
    assert "run 261122-aaaa" in text
    assert "4/10 trials, 10/100 s" in text
    assert f"best {best} %" in text
    assert "\x1b[31m" not in text
    assert "[bold]hello[/bold]" in text


def test_a_panel_before_any_event_is_fine() -> None:
    assert "no score yet" in shown(TerminalProgress())


def test_the_first_interrupt_is_told_and_both_are_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "SAME_SIGNAL_S", 0.0)
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(KeyboardInterrupt), TerminalProgress() as progress:
        progress(started())
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert STOPPING in capsys.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second interrupt was swallowed")
    assert signal.getsignal(signal.SIGINT) == before
    assert "go on with `vitruvius resume 261122-aaaa`" in capsys.readouterr().err


def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    with contextlib.suppress(KeyboardInterrupt), TerminalProgress(quiet=True):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # as timeout(1) does
        time.sleep(0.01)


PAYLOAD = {"decision": 1, "call": {"tool": "train", "trials": [{}, {}], "reason": "\x1b[31mwhy"}}


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("\n", {"approved": True}),
        ("Yes\n", {"approved": True}),
        ("n\n", {"approved": False, "reason": "n"}),
        ("too dear\n", {"approved": False, "reason": "too dear"}),
        ("", {"approved": None}),
        ('{"reason": "wider"}\n', {"approved": True, "call": {"reason": "wider"}}),
        ("{wider}\n", {"approved": False, "reason": "{wider}"}),
    ],
)
def test_a_person_is_asked(
    typed: str,
    answer: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert TerminalProgress().ask(PAYLOAD) == answer
    said = capsys.readouterr().err
    assert "Train 2 architectures. [31mwhy" in said
    assert "\x1b" not in said


def test_asking_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(ConfigError, match="--ask needs a terminal"):
        TerminalProgress().asker(True)
    assert TerminalProgress().asker(False) is None


def test_a_resumed_run_remembers_its_best() -> None:
    class Earlier:
        value, name, run_id, status = 90.0, "T3", "261122-aaaa", ResultStatus.DONE

    progress = TerminalProgress(earlier=[Earlier()])  # type: ignore[list-item]
    progress(started())
    progress(done(4, 80.0))
    assert "best 90 % (T3)" in shown(progress)
