"""`run` and `resume`: every option is read, and a whole search by command."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vitruvius import api
from vitruvius.__main__ import main
from vitruvius.cli.live import TerminalProgress
from vitruvius.errors import RunHeld

SRC = Path(__file__).parents[1] / "src"
OPTIONS = [
    ("--task", "digits", "task", "digits"),
    ("--space", "macro", "space", "macro"),
    ("--budget", "3 trials", "budget", "3 trials"),
    ("--model", "gpt-x", "model", "gpt-x"),
    ("--seed", "7", "seed", 7),
    ("--workers", "3", "workers", 3),
    ("--home", "elsewhere", "home", Path("elsewhere")),
    ("--control", "0.25", "control", 0.25),
    ("--explore", "0.5", "explore", 0.5),
    ("--principles-from", "none", "principles_from", ["none"]),
]


class Stopped(Exception):
    """Ends a command once its arguments were seen."""


@pytest.fixture
def created(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `api.create` is called with."""
    seen: dict[str, Any] = {}

    def create(task: Any, space: Any, budget: Any, **settings: Any) -> None:
        seen.update(task=task, space=space, budget=budget, **settings)
        raise Stopped

    monkeypatch.setattr(api, "create", create)
    return seen


@pytest.mark.parametrize(("flag", "text", "name", "value"), OPTIONS)
def test_an_option_of_run_reaches_the_search(
    flag: str, text: str, name: str, value: Any, created: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        main(["run"])
    default = created[name]
    with pytest.raises(Stopped):
        main(["run", flag, text])
    assert created[name] == value
    assert default != value


def test_without_options_settings_decide(created: dict[str, Any]) -> None:
    with pytest.raises(Stopped):
        main(["run"])
    assert (api.DEFAULT_TASK, api.DEFAULT_SPACE) == ("mnist1d", "nb201")
    assert isinstance(created.pop("on_event"), TerminalProgress)
    assert set(created.values()) == {None}


def test_table_options_reach_the_task(created: dict[str, Any]) -> None:
    with pytest.raises(Stopped):
        main(["run", "--task", "table:t.parquet", "--metric", "c100", "--noise"])
    assert created["task"] == "table:t.parquet,metric=c100,noise=true"


def test_a_run_that_is_held_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def held(*_: Any, **__: Any) -> None:
        raise RunHeld("run 261122-aaaa is driven by process 7 on this machine")

    monkeypatch.setattr(api, "create", held)
    with pytest.raises(SystemExit) as ended:
        main(["run"])
    assert ended.value.code == 3
    assert capsys.readouterr().err == (
        "vitruvius: run 261122-aaaa is driven by process 7 on this machine\n"
    )


def call(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "VITRUVIUS_"))},
        "PYTHONPATH": str(SRC),
        "VITRUVIUS_HOME": str(home),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", "vitruvius", *arguments],
        cwd=home.parent, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_whole_search_by_command(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = call(home, "run", "--task", "digits", "--space", "macro", "--budget", "8 trials",
                "--control", "0.2", "--model", "analyst")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "## Best network of run" in done.stdout
    assert "best so far" in done.stderr
    shown = json.loads(call(home, "show", "--json").stdout)
    assert shown["run"]["status"] == "done"
    assert len(shown["trials"]) == 8
    assert {"explore", "control", "confirm"} <= {t["origin"] for t in shown["trials"]}
    run_id = shown["run"]["id"]
    report = call(home, "report", run_id).stdout
    assert (home / "runs" / run_id / "report.md").read_text() == report
    exported = call(home, "export", run_id, str(tmp_path / "net"))
    assert exported.returncode == 0, exported.stderr
    assert len(exported.stdout.split()) >= 2
    again = call(home, "resume", run_id)
    assert again.returncode == 2
    assert "is done" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_whole_search_of_a_table_by_command(tmp_path: Path, shared_data: Path) -> None:
    home, table = tmp_path / "home", shared_data / "nas_bench_201.parquet"
    done = call(home, "run", "--task", f"table:{table}", "--metric", "c10", "--budget",
                "24 trials", "--model", "analyst", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["run"]["status"] == "done"
    assert found["best"]["search"]["mean"] > 80
    assert done.stderr == ""
