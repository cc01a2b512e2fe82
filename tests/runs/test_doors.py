"""One run through every door: overnight, board, chat, notebook, fork, resume."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
from runs.helpers import SLOW, SPACE, outcome_of, trials_of
from runs.scripted import able_model
from serving import serve

import vitruvius as vt
from vitruvius import api
from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.events import EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus

BUDGET = 40


def watch(run: vt.SearchRun, kind: EventKind, count: int = 1) -> None:
    """Follows the run's log, whoever drives it, until so many events of a kind have come."""
    for event in run.follow():
        count -= event.kind == kind
        if count <= 0:
            return
    raise AssertionError(f"the run ended {count} {kind} events too soon")


@pytest.mark.parametrize("who", ["analyst", pytest.param("scripted", marks=pytest.mark.slow)])
def test_the_same_run_goes_through_every_door(
    who: str, home: Path, chat_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_server.otherwise = able_model()
    monkeypatch.setenv("TINY_SLEEP", "0.5")
    by_model = {"base_url": chat_server.url, "api_key": "no-look-alike-1234567890"}
    given = {"model": who} | (by_model if who == "scripted" else {})
    run = api.create(SLOW, SPACE, f"{BUDGET} trials", home=home, seed=3, **given)
    keys = {name: by_model[name] for name in given if name in by_model}

    run.start(**keys)  # overnight: a process of its own
    watch(run, EventKind.TRIAL_DONE, 6)
    with serve(home) as url:  # the board, while it works
        with urllib.request.urlopen(url, timeout=60) as page:
            listed = page.read().decode()
        with urllib.request.urlopen(f"{url}/runs/{run.id}", timeout=60) as page:
            shown = page.read().decode()
    assert run.id in listed
    assert "running" in listed
    assert "T6" in shown

    said = run.ask("which is best?", model="analyst")  # in conversation
    assert re.search(r"\bT\d+\b", said)
    wish = run.steer({"tool": "note", "text": "small ones are welcome"})
    watch(run, EventKind.WISH)

    opened = vt.open(run.id, home=home)  # in a notebook
    assert len(opened.trials) >= 6
    assert run.id in opened._repr_html_()
    run.stop()
    for _ in opened.follow():
        pass
    assert opened.record.status == RunStatus.INTERRUPTED

    with Ledger.open(home) as ledger:
        assert ledger.requests.wish(wish.id).status == "done"
    before = outcome_of(opened)
    assert 6 <= len(before) < BUDGET
    fork = opened.fork(at=2)
    assert len(trials_of(fork)) < len(before)

    monkeypatch.setenv("TINY_SLEEP", "0")
    assert opened.resume(**keys) == RunStatus.DONE  # here, to its end
    assert fork.resume(**keys) == RunStatus.DONE
    after = outcome_of(opened)
    finished = [row for row in before if row[4] == "done"]
    assert [row for row in after if row in finished] == finished
    assert len(after) == len(trials_of(fork)) == BUDGET
    for one in (opened, fork):
        folder = home / "runs" / one.id
        assert one.id in (folder / "report.html").read_text(encoding="utf-8")
        assert json.loads((folder / "summary.json").read_text())["run"]["status"] == "done"
