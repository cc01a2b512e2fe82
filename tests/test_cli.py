"""The command line: what it prints, how it exits, what it imports."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest
from shell import Shell

from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.cli.run import table_ref
from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus
from vitruvius.spaces.space import Architecture

SRC = Path(__file__).parents[1] / "src"


class Story(Protocol):
    home: Path
    run_id: str
    values: dict[int, float | None]
    archs: list[Architecture]


@pytest.fixture
def home(story: Story, monkeypatch: pytest.MonkeyPatch, shell: Shell) -> Path:
    monkeypatch.setenv("VITRUVIUS_HOME", str(story.home))
    return story.home


def modules_after(*arguments: str, **environment: str) -> set[str]:
    """Returns the modules that a command imports, in a process of its own."""
    program = (
        "import sys, json, contextlib\n"
        "from vitruvius.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "print('MODULES', json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(SRC), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout.split("MODULES ")[-1]))


HEAVY = {
    "torch",
    "chromadb",
    "prompt_toolkit",
    "langgraph",
    "pandas",
    "sklearn",
    "scipy",
    "openai",
    "langchain_core",
}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["principles", "--help"]])
def test_help_imports_next_to_nothing(arguments: list[str]) -> None:
    modules = modules_after(*arguments)
    assert not modules & (HEAVY | {"sqlalchemy", "numpy"})


def test_runs_imports_nothing_heavy(story: Story) -> None:
    assert not modules_after("runs", "--home", str(story.home)) & HEAVY


def test_importing_the_package_is_instant() -> None:
    program = "import sys, vitruvius; print(len([m for m in sys.modules if 'vitruvius' in m]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) == 1


def test_help_names_commands_and_exit_codes(shell: Shell) -> None:
    text = shell("--help")
    for word in ("run", "resume", "runs", "show", "stop", "report", "export", "principles",
                 "region", "doctor", "130", "vitruvius run --task digits"):  # fmt: skip
        assert word in text


def test_runs_lists_the_latest_first(shell: Shell, story: Story, home: Path) -> None:
    (only,) = shell.json("runs")
    assert (only["id"], only["status"], only["budget"]["trials"]) == (story.run_id, "done", 24)
    assert story.run_id in shell("runs")


def test_runs_of_an_empty_home_makes_nothing(shell: Shell, tmp_path: Path) -> None:
    assert shell.json("runs", "--home", str(tmp_path / "new")) == []
    assert not (tmp_path / "new").exists()


def test_a_home_without_a_ledger_is_told(shell: Shell, tmp_path: Path) -> None:
    shell("show", "--home", str(tmp_path / "new"), code=2)
    assert shell.err.startswith("vitruvius: there is no ledger in ")
    assert "Traceback" not in shell.err


def test_an_unknown_run_is_told_with_the_nearest(shell: Shell, story: Story, home: Path) -> None:
    shell("show", story.run_id[:-1] + "x", code=2)
    assert story.run_id in shell.err


def test_an_unknown_option_is_a_usage_error(shell: Shell) -> None:
    shell("run", "--tasc", "digits", code=2)
    assert "--tasc" in shell.err


def test_show_tells_where_a_run_stands(shell: Shell, story: Story, home: Path) -> None:
    shown = shell.json("show", story.run_id)
    assert shown["run"]["id"] == story.run_id
    assert shown["best"]["confirmed"]["trials"] == ["T19", "T21", "T23"]
    assert len(shown["trials"]) == 24
    assert "test" not in json.dumps(shown["trials"])
    assert [p["name"] for p in shown["principles"]] == ["P1.1", "P2.1"]
    assert shown["principles"][0]["evidence"]["supporting"] == ["T9", "T10"]
    text = shell("show", "--trials")
    assert "P1.1" in text
    assert "T24" in text


def test_show_knows_a_run_whose_space_was_an_object(shell: Shell, story: Story, home: Path) -> None:
    with Ledger.open(home) as ledger:
        old = ledger.runs.get(story.run_id)
        ledger.runs.create(
            space_ref="", space_id="x", space_name="mine", task_ref=old.task_ref,
            task_id=old.task_id, task_name=old.task_name, seed=0, budget=old.budget, settings={},
            sources={},
        )  # fmt: skip
    assert "mine" in shell("show")
    shell("report", code=2)
    assert "given as an object" in shell.err


def test_report_prints_markdown_in_a_pipe(
    shell: Shell, story: Story, home: Path, tmp_path: Path
) -> None:
    text = shell("report", story.run_id)
    assert text.startswith(f"# Report of run {story.run_id}")
    shell("report", "-o", str(tmp_path / "r.md"))
    assert (tmp_path / "r.md").read_text() == text


def test_report_writes_a_page_and_opens_it(
    shell: Shell, story: Story, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    stored = home / "runs" / story.run_id / "report.html"
    assert str(stored) in shell("report", "--html")
    html = stored.read_text()
    assert html.startswith("<!doctype html>")
    shell("report", story.run_id, "--html", "-o", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == html
    assert opened == []
    shell("report", "--open")
    assert opened == [stored.as_uri()]


def test_a_page_that_cannot_be_written_is_told(
    shell: Shell, story: Story, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    shell("report", "--html", "-o", str(tmp_path / "file/page.html"), code=2)
    assert "cannot write" in shell.err


def test_no_text_of_others_reaches_the_terminal_raw(shell: Shell, story: Story, home: Path) -> None:
    for command in (["report"], ["show"], ["principles", "list"], ["principles", "show", "P1"],
                    ["region", "show"]):  # fmt: skip
        assert "\x1b[31m" not in shell(*command)


def test_stop_of_a_run_that_is_not_running_says_so(shell: Shell, story: Story, home: Path) -> None:
    assert "is not running: it is done" in shell("stop", story.run_id)


def test_stop_asks_the_driver(shell: Shell, story: Story, home: Path) -> None:
    with Ledger.open(home) as ledger:
        ledger.runs.claim(story.run_id, "other")
        shell("stop")
        assert ledger.runs.beat(story.run_id, "other", 1.0)
        ledger.runs.release(story.run_id, "other", RunStatus.INTERRUPTED)


def test_principles_are_listed_shown_and_carried_over(
    shell: Shell, story: Story, home: Path, tmp_path: Path
) -> None:
    assert [p["name"] for p in shell.json("principles", "list")] == ["P1.1", "P2.1"]
    (listed, _) = shell.json("principles", "list", "--run", story.run_id)
    assert listed["evidence"]["standing"] == "supported"
    history = shell.json("principles", "show", "P3")
    assert [(v["name"], v["edit"]) for v in history] == [("P3.1", "add"), ("P3.2", "retire")]
    assert shell.json("principles", "show", "P1")[0]["evidence"][0]["run_id"] == story.run_id
    assert "P1.1" in shell("principles", "list")
    assert "it failed" in shell("principles", "show", "P3")
    file = str(tmp_path / "p.json")
    shell("principles", "export", file, "P1")
    other = str(tmp_path / "other")
    assert "P1.1" in shell("principles", "import", file, "--home", other)
    (imported,) = shell.json("principles", "list", "--home", other)
    assert (imported["edit"], imported["rule_words"]) == ("import", "edge_0_3 = nor_conv_3x3")
    assert json.loads(shell("principles", "export", "-", "--home", other))["principles"]


@pytest.mark.parametrize(
    ("content", "said", "code"),
    [
        ("{", "as JSON", 2),
        ('{"format": "other"}', "not a file of principles", 1),
        ("[" * 100_000, "as JSON", 2),
    ],
)
def test_a_file_that_holds_no_principles_is_refused(
    shell: Shell, home: Path, tmp_path: Path, content: str, said: str, code: int
) -> None:
    (tmp_path / "p.json").write_text(content)
    shell("principles", "import", str(tmp_path / "p.json"), code=code)
    assert said in shell.err
    assert "Traceback" not in shell.err


def test_an_unknown_principle_is_told(shell: Shell, home: Path) -> None:
    shell("principles", "show", "P99", code=1)
    assert "there is no principle P99" in shell.err


def test_a_cut_is_undone_once(shell: Shell, story: Story, home: Path) -> None:
    first, second = shell.json("region", "show")
    assert (first["in_force"], second["in_force"]) == (True, False)
    shell("region", "undo", story.run_id, "1", "--reason", "pooling matters here")
    with Ledger.open(home) as ledger:
        cut = ledger.cuts.of(story.run_id)[0]
    assert (cut.in_force, cut.undone_by, cut.undone_reason) == (
        False,
        "you",
        "pooling matters here",
    )
    shell("region", "undo", story.run_id, "9", code=1)
    assert "no cut 9" in shell.err
    assert "undone by you" in shell("region", "show")


def test_doctor_finds_a_sound_installation(
    shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRUVIUS_SEED", "5")
    monkeypatch.setenv("VITRUVIUS_API_KEY", "sk-very-secret-key")
    monkeypatch.setenv("VITRUVIUS_MODEL", "analyst")
    found = shell.json("doctor", "--repair")
    checks = {check["name"]: check for check in found["checks"]}
    assert found["healthy"], checks
    assert "1 runs" in checks["ledger"]["text"]
    assert "analyst" in checks["model"]["text"]
    rows = {row["name"]: row for row in found["settings"]}
    assert rows["seed"] == {
        "name": "seed", "value": "5", "source": "environment VITRUVIUS_SEED",
    }  # fmt: skip
    assert rows["api_key"]["value"] == "set"
    assert "sk-very-secret-key" not in json.dumps(found)
    assert "repair" in checks


def test_doctor_says_what_the_endpoint_can_do(
    shell: Shell, chat_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
    found = shell.json("doctor", "--home", "new")
    (model,) = [check["text"] for check in found["checks"] if check["name"] == "model"]
    assert "scripted at http://127.0.0.1" in model
    assert "tools yes" in model
    assert "decisions as tools" in model


def test_doctor_fails_where_the_endpoint_does_not_answer(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("VITRUVIUS_MODEL", "named")
    found = shell.json("doctor", "--home", "new", code=1)
    assert [c["name"] for c in found["checks"] if not c["ok"]] == ["model"]


def test_doctor_fails_where_something_is_wrong(shell: Shell, home: Path) -> None:
    (home / "ledger.db").write_bytes(b"not a database at all" * 100)
    found = shell.json("doctor", code=1)
    assert [c["name"] for c in found["checks"] if not c["ok"]] == ["ledger", "index"]


def test_doctor_rebuilds_the_index_from_the_ledger(shell: Shell, home: Path) -> None:
    found = shell.json("doctor", code=1)  # the story wrote versions and no index
    assert [c["name"] for c in found["checks"] if not c["ok"]] == ["index"]
    shell("doctor", "--repair")
    assert shell.json("doctor")["healthy"]


def test_a_bad_setting_is_one_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRUVIUS_EXPLORE", "7")
    shell("runs", code=2)
    assert shell.err.count("\n") == 1
    assert "setting explore from environment VITRUVIUS_EXPLORE" in shell.err


def test_table_options_are_folded_into_the_reference() -> None:
    assert table_ref("table:t.parquet", "c10", True) == "table:t.parquet,metric=c10,noise=true"
    assert table_ref("digits", None, False) == "digits"
    with pytest.raises(ConfigError, match="--metric needs a task of the form table:PATH"):
        table_ref("digits", "c10", False)
    with pytest.raises(ConfigError, match="given twice"):
        table_ref("table:t.csv,metric=a", "b", False)


def test_rich_markup_in_cells_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    from vitruvius.cli.console import print_table

    print_table(("a",), [("[red]x[/red] [link=http://e]y[/link]",)])
    assert "[red]x[/red] [link=http://e]y[/link]" in capsys.readouterr().out
