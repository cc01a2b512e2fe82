"""Runs that are driven in the background of any process, and what is told of them meanwhile."""

import threading
import time
from pathlib import Path

import pytest

import vitruvius as vt
from vitruvius.budget import Budget
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus, Spent
from vitruvius.notebook.live import Panel
from vitruvius.run.progress import Progress
from vitruvius.tasks.task import Metric

TASKS = Path(__file__).parent / "slow.py"
SPACE = f"{TASKS}:space"


def event(kind: EventKind, text: str = "", **data: object) -> Event:
    return Event(kind=kind, text=text, data=data)


def test_a_search_in_the_background_returns_at_once_and_stops_as_asked(tmp_path: Path) -> None:
    begun, kinds = threading.Event(), []

    def hear(told: Event) -> None:
        kinds.append(told.kind)
        if told.kind == EventKind.TRIAL_DONE:
            begun.set()

    run = vt.search(f"{TASKS}:slow", SPACE, "90 trials", home=tmp_path, background=True,
                    on_event=hear, seed=1)  # fmt: skip
    assert run.is_running
    with pytest.raises(ConfigError, match="driven here already"):
        run.start_here()
    assert begun.wait(60)
    other = vt.open(run.id, home=tmp_path)  # as another cell would
    assert other.is_running
    assert run.wait(0.01) == RunStatus.RUNNING
    other.stop()
    assert run.wait() == RunStatus.INTERRUPTED
    assert not run.is_running
    assert not other.is_running
    assert EventKind.DONE in kinds
    assert 0 < len(run.trials) < 90


def test_waiting_for_a_run_that_another_drives_goes_by_the_ledger(tmp_path: Path) -> None:
    run = vt.search(f"{TASKS}:slow", SPACE, "4 trials", home=tmp_path, background=True)
    other = vt.open(run.id, home=tmp_path)
    while run.record.status == RunStatus.PENDING:
        time.sleep(0.05)
    assert other.wait() == RunStatus.DONE
    assert run.wait() == RunStatus.DONE
    assert len(run.trials) == 4


def test_what_goes_wrong_is_raised_by_wait(tmp_path: Path) -> None:
    run = vt.search(f"{TASKS}:quick", SPACE, "2 trials", home=tmp_path)
    again = run.start_here()
    with pytest.raises(ConfigError, match="is done"):
        again.wait()


def test_a_run_whose_driver_died_is_not_running(tmp_path: Path) -> None:
    run = vt.search(f"{TASKS}:quick", SPACE, "2 trials", home=tmp_path)
    fresh = vt.open(run.id, home=tmp_path)
    assert not fresh.is_running
    started = time.monotonic()
    assert fresh.wait() == RunStatus.DONE
    assert time.monotonic() - started < 1


def test_progress_is_lines_where_there_is_no_notebook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vt.search(f"{TASKS}:quick", SPACE, "5 trials", home=tmp_path)
    assert capsys.readouterr().err == ""
    run = vt.search(f"{TASKS}:quick", SPACE, "5 trials", home=tmp_path, progress=True, seed=2)
    lines = capsys.readouterr().err.splitlines()
    assert any(" T1 " in line and "best so far" in line for line in lines)
    assert lines[-1].endswith(f"run {run.id}: done")
    with Ledger.open(tmp_path) as ledger:
        assert len(ledger.runs.all()) == 2


def told(direction: str = "max") -> Progress:
    heard = Progress(run="r")
    metric = Metric(name="loss", direction=direction, unit="")  # type: ignore[arg-type]
    budget = Budget(trials=4, dollars=2.0)
    heard.take(event(EventKind.STARTED, "begins", run="r", metric=metric, budget=budget))
    return heard


@pytest.mark.parametrize(("direction", "best"), [("max", (3.0, "T2")), ("min", (1.0, "T1"))])
def test_the_progress_follows_the_best_in_the_metrics_direction(
    direction: str, best: tuple[float, str]
) -> None:
    heard = told(direction)
    for number, value in enumerate((1.0, 3.0, None, 2.0), start=1):
        heard.take(event(EventKind.TRIAL_DONE, trial=f"T{number}", value=value))
    assert heard.best == best
    assert len(heard.course) == 4
    assert heard.course[-1] == best[0]


def test_the_progress_shows_the_tightest_limit() -> None:
    heard = told()
    assert heard.used() == (0.0, "")
    spent = Spent(trials=1, wall_s=10.0, tokens=5, dollars=1.0)
    heard.take(event(EventKind.TRIAL_DONE, trial="T1", value=1.0, spent=spent))
    share, words = heard.used()
    assert share == 0.5
    assert words == "1 of 4 trials, 1 of 2 $"


def test_the_best_of_short_trainings_is_forgotten_when_full_ones_start() -> None:
    heard = told()
    heard.take(event(EventKind.TRIAL_DONE, trial="T1", value=9.0))
    heard.take(event(EventKind.STARTED, run="other"))
    assert heard.best is None
    assert heard.course == []


def test_words_of_others_are_cleaned_in_the_panel(capsys: pytest.CaptureFixture[str]) -> None:
    panel = Panel("r")
    panel(event(EventKind.WARNING, "\x1b[31m<script>x</script>"))
    assert "\x1b" not in capsys.readouterr().err
    assert "<script>" not in panel._repr_html_()
    assert "warning: [31m&lt;script&gt;" in panel._repr_html_()


def test_a_run_taken_up_again_remembers_its_best(tmp_path: Path) -> None:
    run = vt.search(f"{TASKS}:quick", SPACE, "12 trials", home=tmp_path)
    fork = run.fork(budget="14 trials")
    before = max(value for value in run.trials["value"])
    with Ledger.open(tmp_path) as ledger:
        panel = Panel(fork.id, ledger.trials.of(fork.id))
    fork.resume(on_event=panel)
    assert panel.heard.best is not None
    assert panel.heard.best[0] == max(fork.trials["value"]) >= before
    assert len(panel.heard.course) == 14
    assert panel.heard.course[0] == fork.trials["value"].iloc[0]
