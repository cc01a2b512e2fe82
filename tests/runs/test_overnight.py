"""What waits for the end of a run: its summary, the user's command, trackers; and hard stops."""

import asyncio
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, TRAINED, trials_of

import vitruvius as vt
from vitruvius.__main__ import main
from vitruvius.api import create
from vitruvius.events import Event, EventKind
from vitruvius.graphs.drive import driver
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, ResultStatus, RunStatus
from vitruvius.tools.training.evaluation import Evaluator, Outcome, Request, Trained

Search = Callable[..., vt.SearchRun]


def summary_of(run: vt.SearchRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.home / "runs" / run.id / "summary.json").read_text())
    return found


class Heard(list[Event]):
    """A listener that keeps what it is told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def texts(self, kind: EventKind) -> list[str]:
        return [event.text for event in self if event.kind == kind]


def test_the_summary_is_what_report_json_prints(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    run = search()
    with pytest.raises(SystemExit):
        main(["report", run.id, "--json", "--home", str(run.home)])
    summary = summary_of(run)
    printed = json.loads(capsys.readouterr().out)
    assert printed["run"].pop("finished") is not None  # the file is written just before
    assert summary["run"].pop("finished") is None
    assert printed == summary
    assert summary["schema"] == "vitruvius.summary/1"
    assert summary["run"]["status"] == "done"
    assert summary["error"] is None
    assert summary["next"] is None
    best = min(t.value for t in trials_of(run) if t.value is not None)
    assert summary["best"]["confirmed"]["mean"] == pytest.approx(best, abs=1.5)
    assert summary["trials"]["all"] == 14


def test_a_command_is_run_at_the_end_with_the_summary(search: Search, tmp_path: Path) -> None:
    out = tmp_path / "told.txt"
    command = f'echo "$1 $VITRUVIUS_RUN" > {shlex.quote(str(out))}'
    run = search(on_end=command)
    path = run.home / "runs" / run.id / "summary.json"
    assert out.read_text().split() == [str(path), run.id]
    assert not [
        file
        for file in run.home.rglob("*")
        if file.is_file() and b"VITRUVIUS_RUN" in file.read_bytes()
    ], "the command is kept nowhere"


@pytest.mark.parametrize(
    ("command", "words"), [("exit 3", "failed with code 3"), ("sleep 60", "was ended after 0.2 s")]
)
def test_a_command_that_fails_is_a_warning(search: Search, command: str, words: str) -> None:
    heard = Heard()
    run = search(on_end=command, on_end_s=0.2, on_event=heard)
    assert run.record.status == RunStatus.DONE
    assert words in heard.texts(EventKind.WARNING)[-1]


def test_a_command_in_a_ledger_or_a_projects_file_is_not_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(home) as ledger:
        given = create(LOOKUP, SPACE, "4 trials", home=home, model="analyst").record
        planted = ledger.runs.create(
            **{name: getattr(given, name) for name in (
                "space_ref", "space_id", "space_name", "task_ref", "task_id", "task_name", "seed",
                "budget", "sources")},
            settings=dict(given.settings) | {"on_end": f"touch {tmp_path}/pwned"},
        )  # fmt: skip
    assert vt.open(planted.id, home=home).resume() == RunStatus.DONE
    assert not (tmp_path / "pwned").exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vitruvius.toml").write_text('on_end = "true"\n')
    with pytest.raises(vt.ConfigError, match="a command does not belong into a project's file"):
        create(LOOKUP, SPACE, "4 trials", home=home)


def test_a_run_that_breaks_off_leaves_a_summary_that_says_why(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create(LOOKUP, SPACE, "8 trials", home=home, model="analyst")
    monkeypatch.setattr(driver, "create_search_graph", broken)
    with pytest.raises(vt.VitruviusError, match="the disk is full"):
        run.resume(on_end=f'cp "$1" {tmp_path}/told.json')
    summary = json.loads((tmp_path / "told.json").read_text())
    assert summary["error"] == "the disk is full"
    assert summary["next"] == f"vitruvius resume {run.id}"
    assert [event.text for event in run.follow()][-1] == "the disk is full"


def broken(saver: object) -> None:
    raise vt.VitruviusError("the disk is full")


def test_an_estimate_comes_before_the_start_and_after_the_first_trials(search: Search) -> None:
    heard = Heard()
    search(on_event=heard)
    first, second = heard.texts(EventKind.ESTIMATED)
    assert first == (
        "estimate: at most 14 trials, time not known until the first trials, no tokens"
    )
    assert second.startswith("estimate: about 14 trials")
    assert "from its own first" in second
    kinds = [event.kind for event in heard]
    assert kinds.index(EventKind.ESTIMATED) < kinds.index(EventKind.STARTED)
    heard.clear()
    again = search(on_event=heard, seed=5)
    assert "trials of 1 earlier run of this task" in heard.texts(EventKind.ESTIMATED)[0]
    with Ledger.open(again.home) as ledger:
        assert [mark.step for mark in ledger.steps.marks(again.id, "estimated")] == [0, 1]


def test_an_estimate_alone_starts_nothing(
    search: Search, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--task", LOOKUP, "--space", SPACE, "--model", "analyst", "--home", str(home),
             "--estimate", "--json"]  # fmt: skip
    with pytest.raises(SystemExit):
        main([*words, "--budget", "9 trials"])
    assert json.loads(capsys.readouterr().out)["trials"] == 9
    assert not home.exists()
    search(budget="6 trials")
    with pytest.raises(SystemExit):
        main([*words, "--budget", "20s of training"])
    told = json.loads(capsys.readouterr().out)
    assert told["trials"] == 20  # a second each
    assert told["ends_by"] == "seconds of training"
    assert len(list((home / "runs").iterdir())) == 1


def test_a_limit_that_is_nearly_used_up_is_told_once(search: Search) -> None:
    heard = Heard()
    search(budget="20 trials, 100s of training", on_event=heard)
    near = [text for text in heard.texts(EventKind.WARNING) if "of the budget are used" in text]
    assert len(near) == 1
    assert near[0].startswith(("80% of the trials", "85% of the trials"))


class Hanging:
    """Answers at once, each training said to take four seconds; one never ends by itself."""

    slots = 1

    def __init__(self) -> None:
        self.asked = 0

    async def evaluate(self, request: Request) -> Outcome:
        self.asked += 1
        if self.asked == 6:
            await asyncio.Event().wait()
        value = 50.0 + self.asked
        return Trained(value=value, test=value, train_s=4.0, params=1, flops=1)

    async def aclose(self) -> None:
        pass


def test_a_run_whose_time_is_over_in_a_training_confirms_and_reports(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator: Evaluator = Hanging()
    monkeypatch.setattr(driver, "create_evaluator", lambda *_, **__: evaluator)
    run = search(task=TRAINED, budget="12s")
    assert run.record.status == RunStatus.DONE
    trials = trials_of(run)
    assert trials[5].status == ResultStatus.CANCELLED
    assert trials[5].problem == "cut off: the run's time was over"
    assert [t.origin for t in trials[6:]] == [Origin.CONFIRM]
    assert trials[6].value is not None
    assert summary_of(run)["best"]["confirmed"]["trials"] == ["T7"]
    assert "cut off: the run's time was over" in run.report
    with Ledger.open(run.home) as ledger:
        assert ledger.steps.spent(run.id).wall_s < 14
        result = trials[5].result_id
        assert ledger.results.reopen(result), "another run may train it"


def test_the_callback_of_the_docs_writes_a_line_for_each_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/overnight.md").read_text(encoding="utf-8")
    block = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VITRUVIUS_MODEL", "analyst")
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(block.replace('task="digits", space="macro"', f"task={LOOKUP!r}, space={SPACE!r}"),
                 "docs", "exec"), names)  # fmt: skip
    rows = (tmp_path / "trials.csv").read_text().splitlines()
    assert rows[0].startswith("trial,")
    assert len(rows) == 1 + 8


def test_tensorboard_gets_the_account_the_curves_and_the_slots(
    search: Search, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = search(budget="6 trials", tensorboard=tmp_path / "board")
    folder = tmp_path / "board" / run.id
    read = EventAccumulator(str(folder)).Reload()
    values = {e.step: e.value for e in read.Scalars("search/value")}
    trials = trials_of(run)
    assert values == pytest.approx({t.number: t.value for t in trials}, rel=1e-5)
    best = [e.value for e in read.Scalars("search/best")]
    assert best == sorted(best, reverse=True), "less is better"
    assert read.Scalars("spent/wall_s")
    one = EventAccumulator(str(folder / "T1")).Reload()
    assert one.Tags()["scalars"] == ["value"]
    assert "_hparams_/session_start_info" in one.summary_metadata
    assert "tensorboard" not in run.record.settings


def test_tensorboard_that_is_missing_is_told_before_anything_starts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(vt.ConfigError, match=r"pip install 'vitruvius\[tensorboard\]'"):
        create(LOOKUP, SPACE, "4 trials", home=home, tensorboard=tmp_path)
    assert not home.exists()


def test_settings_of_the_process_are_not_stored(home: Path, tmp_path: Path) -> None:
    run = create(LOOKUP, SPACE, "4 trials", home=home, on_end="true", tensorboard=tmp_path)
    assert not {"on_end", "tensorboard", "api_key"} & set(run.record.settings)
    assert replace(run.record).settings["on_end_s"] == 60.0
