"""Learning and transfer by command, in one home and between two."""

import json
from pathlib import Path

import pytest
from runs.test_transfer import SOURCE, SPACE, TARGET
from shell import Shell


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """The shared one, in a wide terminal with a home of ours."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "ours"))
    return shell


def search(*more: str) -> tuple[str, ...]:
    return ("run", "--task", TARGET, "--space", SPACE, "--budget", "10 trials", "--workers", "1",
            "--model", "analyst", *more)  # fmt: skip


def test_a_source_is_a_run_that_every_command_knows(shell: Shell) -> None:
    learned = shell.json("learn", SOURCE, "--space", SPACE, "--name", "last year")
    run_id = learned["run"]["id"]
    assert (learned["run"]["kind"], learned["run"]["status"]) == ("learn", "done")
    assert learned["rows"] == 81
    assert {p["evidence"]["standing"] for p in learned["principles"]} == {"supported"}
    assert "last year" in shell("runs")
    assert f"What run {run_id} learned" in shell("show", run_id)
    report = shell("report", run_id)
    assert "81 rows of" in report
    assert "called `last year`" in report
    assert learned["principles"][0]["name"] in shell("principles", "list", "--run", run_id)
    shell("resume", run_id, code=2)
    assert f"vitruvius run --principles-from {run_id}" in shell.err

    told = shell(*search("--principles-from", run_id))
    assert "Best network" in told
    assert f"from run {run_id} on last year" in shell.err
    report = shell("report")
    assert f"| run {run_id} (learned from rows) | `last year` | `columns` | 81 |" in report
    assert "| recalled | trust |" in report


def test_the_best_of_a_few_rows_can_be_learned_from(shell: Shell) -> None:
    learned = shell.json(
        "learn", SOURCE, "--space", SPACE, "--rows", "40", "--best", "10", "--seed", "3"
    )
    assert learned["rows"] == 10
    report = shell("report")
    assert "40 drawn at random with seed 3, of these the best 10 only" in report
    assert "Only the best rows were given" in report


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["learn", "mnist1d"], "trains its networks, so it has no rows"),
        (["learn", "nothing.csv"], "there is no file nothing.csv"),
        (["learn", "261122-0000"], "has no ledger"),
        (["learn", SOURCE, "--metric", "x"], "only its name"),
        (["learn", SOURCE], "with --space"),
        ([*search("--principles-from", "none", "--principles-from", "memory")], "name only one"),
        ([*search("--principles-from", TARGET)], "has paid for"),
    ],
)
def test_what_cannot_be_learned_from_is_told(
    shell: Shell, arguments: list[str], sentence: str
) -> None:
    shell(*arguments, code=2)
    assert sentence in shell.err
    assert "Traceback" not in shell.err


def test_principles_travel_to_another_home_with_their_evidence(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = shell.json("learn", SOURCE, "--space", SPACE)["principles"]
    assert f"{len(ours)} principles" in shell("principles", "export", "ours.json")
    text = (tmp_path / "ours.json").read_text()
    assert all(spec not in text for spec in ("op0\\", "T1"))  # sums travel, trials stay

    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "theirs"))
    assert "supported +" in shell("principles", "import", "ours.json")
    assert "passed over" in shell("principles", "import", "ours.json")
    (stands,) = shell.json("runs")
    assert (stands["kind"], stands["status"]) == ("import", "done")
    shell("report", stands["id"], code=2)
    assert "stands for an import" in shell.err
    shell("resume", stands["id"], code=2)
    assert "nothing to resume" in shell.err

    shell(*search())
    assert f"from run {stands['id']} on source, imported" in shell.err
    report = shell("report")
    assert "(imported)" in report
    recalled = [p for p in shell.json("show")["principles"] if p["edit"] == "import"]
    assert recalled
    assert all(p["run"] is None for p in recalled)


def test_what_was_imported_can_be_passed_on(shell: Shell, tmp_path: Path) -> None:
    shell("learn", SOURCE, "--space", SPACE)
    shell("principles", "export", "first.json")
    shell("principles", "import", "first.json", "--home", "theirs")
    shell("principles", "export", "second.json", "--home", "theirs")
    first, second = (
        json.loads((tmp_path / name).read_text())["principles"]
        for name in ("first.json", "second.json")
    )
    assert [p["evidence"] for p in first] == [p["evidence"] for p in second]
