"""Audits by command: what is printed, what is kept, what is refused; and the architect's tool."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs.helpers import trials_of
from runs.scripted import able_model

import vitruvius as vt
from vitruvius.__main__ import main
from vitruvius.agents.model.scripted_server import Body, ScriptedServer, call
from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import Ledger

SPACE = f"{Path(__file__).parent}/runs/columns.py:space"
SOURCE = f"{Path(__file__).parent}/runs/columns.py:source"
TARGET = f"{Path(__file__).parent}/runs/columns.py:target"
TINY = f"{Path(__file__).parent}/runs/tiny.py"
Shell = Callable[..., str]


@pytest.fixture
def shell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Shell:
    """Calls the command line; returns what it printed, or on another code what it complained."""
    for name in [name for name in os.environ if name.startswith(("VITRUVIUS_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "home"))

    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *arguments])
        captured = capsys.readouterr()
        assert (ended.value.code or 0) == code, captured.out + captured.err
        return captured.err if code else captured.out

    return run


def test_without_labels_the_form_of_a_space_is_told(shell: Shell) -> None:
    text = shell("flexibert_trained")
    assert "10,621,440" in text
    assert "2,664" in text
    assert "depth" in text
    data = json.loads(shell("flexibert_trained", "--json"))
    assert (data["scores"], data["cuts"], data["run"]) == ([], [], None)


def test_labels_name_the_slots_that_decide(shell: Shell) -> None:
    data = json.loads(shell(SPACE, "--from", SOURCE, "--json"))
    assert data["scores"][0]["rows"] == 81
    effects = {one["name"]: one["main"]["value"] for one in data["scores"][0]["factors"]}
    rng = np.random.default_rng(0).normal(size=(4, 3)).var(axis=1)
    assert max(effects, key=lambda name: effects[name]) == f"slot_{int(rng.argmax())}"
    for cut in data["cuts"]:
        assert cut["evidence"]["standing"] == "supported"
        assert 0 < cut["removed"]["distinct"] < 1


def test_kept_cuts_are_principles_that_a_run_recalls(shell: Shell, tmp_path: Path) -> None:
    data = json.loads(shell(SPACE, "--from", SOURCE, "--keep", "--name", "last", "--json"))
    assert data["cuts"]
    home = tmp_path / "home"
    with Ledger.open(home) as ledger:
        kept = ledger.principles.current(data["run"])
        assert [v.rule.model_dump(mode="json", exclude_none=True) for v in kept] == [
            cut["rule"] for cut in data["cuts"]
        ]
        assert all("audit: it removes" in version.rationale for version in kept)
    run = vt.search(
        task=TARGET, space=SPACE, budget="10 trials", workers=1, model="analyst", home=home,
        principles_from=[data["run"]],
    )  # fmt: skip
    with Ledger.open(home) as ledger:
        recalled = {
            adoption.version.split(".")[0] for adoption in ledger.principles.adopted(run.id)
        }
    assert recalled & {f"P{version.principle}" for version in kept}


def test_a_run_can_be_audited(shell: Shell, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = vt.search(
        task=SOURCE, space=SPACE, budget="20 trials", workers=1, model="analyst", home=home
    )
    assert f"20 trials of run {run.id}" in shell(SPACE, "--from", run.id)


def test_proxies_are_explained_and_cut_nothing(shell: Shell) -> None:
    found = json.loads(
        shell(f"{TINY}:space", "--task", f"{TINY}:task", "--draws", "24", "--proxies", "params",
              "--json")
    )  # fmt: skip
    [score] = found["scores"]
    assert (score["name"], score["factors"][0]["name"]) == ("params", "width")
    assert score["factors"][0]["verdict"] == "dominates"
    assert found["cuts"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere",), "there is no space 'nowhere'"),
        ((SPACE, "--keep"), "say where --from"),
        ((SPACE, "--from", SOURCE, "--task", SOURCE), "name only one"),
        ((SPACE, "--from", SOURCE, "--draws", "5"), "at least 12 architectures, got 5"),
        ((SPACE, "--from", SOURCE, "--name", "x"), "give both"),
        ((SPACE, "--proxies", "params"), "proxies need a task"),
        ((SPACE, "--from", "261122-0000"), "no ledger"),
        ((SPACE, "--from", "nothing.csv"), "there is no file nothing.csv"),
        ((SPACE, "--task", SOURCE), "no proxy can be computed"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(
    shell: Shell, arguments: tuple[str, ...], complaint: str
) -> None:
    assert complaint in shell(*arguments, code=2)


def test_python_audits_as_the_command_does() -> None:
    found = vt.audit(SPACE, source=SOURCE, draws=40, seed=1)
    assert found.scores[0].rows == 40
    assert found == found
    with pytest.raises(ConfigError, match="name only one"):
        vt.audit(SPACE, source=SOURCE, task=SOURCE)


def test_the_architect_audits_and_its_cuts_become_candidates(
    chat_server: ScriptedServer, tmp_path: Path
) -> None:
    legal, asked = able_model(), list[str]()

    def answer(body: Body) -> Any:
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        if "audit" in names:
            asked.append("audit")
            return call("audit", {"reason": "what decides here?"})
        return legal(body)

    chat_server.otherwise = answer
    home = tmp_path / "home"
    run = vt.search(
        task=f"{TINY}:Lookup", space=f"{TINY}:space", budget="30 trials", workers=1, home=home,
        model="scripted", base_url=chat_server.url, api_key="none",
    )  # fmt: skip
    assert asked
    assert len(trials_of(run)) == 30
    with Ledger.open(home) as ledger:
        audits = [d for d in ledger.steps.decisions(run.id) if d.call.tool == "audit"]
    assert audits
    assert all("results, left-out ones predicted" in (one.outcome or "") for one in audits)
