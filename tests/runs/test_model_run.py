"""The whole loop with a model in both chairs, behind a scripted HTTP server on loopback."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from runs.helpers import trials_of
from runs.scripted import FAULTS, able_model

import vitruvius as vt
from vitruvius.agents.model.scripted_server import ScriptedServer, call, fail, say
from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, RunStatus

KEY = "no-look-alike-1234567890"
Search = Callable[..., vt.SearchRun]


@pytest.fixture
def model(search: Search, chat_server: ScriptedServer) -> Search:
    """Starts a small search with the scripted model in both chairs."""
    given = {"model": "scripted", "base_url": chat_server.url, "api_key": KEY}
    return lambda **more: search(**(given | more))


def authors(run: vt.SearchRun) -> Counter[str]:
    with Ledger.open(run.home) as ledger:
        return Counter(f"{d.author} {d.status.value}" for d in ledger.steps.decisions(run.id))


def test_a_model_with_every_kind_of_fault_does_no_harm(
    model: Search, chat_server: ScriptedServer, home: Path
) -> None:
    chat_server.otherwise = able_model(FAULTS)
    run = model(budget="40 trials")
    assert run.record.status == RunStatus.DONE
    trials = trials_of(run)
    assert len(trials) == 40
    chosen = [t.architecture for t in trials if t.origin != Origin.CONFIRM]
    assert len(chosen) - len(set(chosen)) <= 5  # repeats of the incumbent alone
    seen = authors(run)
    assert seen["scripted carried_out"] > 0
    assert seen["scripted malformed"] > 0
    assert seen["scripted invalid"] > 0
    assert not seen["analyst malformed"]
    with Ledger.open(home) as ledger:
        calls, spent = ledger.steps.calls(run.id), ledger.steps.spent(run.id)
        versions = ledger.principles.versions(1)
    assert spent.tokens == sum(one.tokens_in + one.tokens_out for one in calls) > 0
    assert {one.chair for one in calls} == {"probe", "architect", "theorist"}
    assert versions[0].author == "scripted"


@pytest.mark.parametrize(
    ("chairs", "decides", "writes"),
    [("architect", "scripted", "analyst"), ("theorist", "analyst", "scripted")],
)
def test_a_model_in_one_chair_leaves_the_other_to_the_analyst(
    model: Search, chat_server: ScriptedServer, chairs: str, decides: str, writes: str
) -> None:
    chat_server.otherwise = able_model()
    run = model(budget="16 trials", model_chairs=chairs)
    assert run.record.settings["model_chairs"] == chairs
    with Ledger.open(run.home) as ledger:
        calls, versions = ledger.steps.calls(run.id), ledger.principles.newest(run.id)
    assert {one.chair for one in calls} == {"probe", chairs}
    assert versions[0].author == writes
    assert authors(run)[f"{decides} carried_out"] > 0
    told = next(one.prompt for one in calls if one.chair == chairs)
    assert "params: " in str(told)  # how a proxy is calibrated, whichever chair reads
    other = {"scripted": "analyst", "analyst": "scripted"}[decides]
    assert not authors(run)[f"{other} carried_out"]


def test_the_key_is_in_no_file(model: Search, chat_server: ScriptedServer, home: Path) -> None:
    chat_server.otherwise = able_model((say(f"the key is {KEY}"), fail(429, KEY)))
    model(budget="12 trials")
    for file in home.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file


def test_the_analyst_carries_a_run_whose_endpoint_died(
    model: Search, chat_server: ScriptedServer
) -> None:
    chat_server.otherwise = lambda body: fail(503, headers={"Retry-After": "0"})
    run = model(budget="12 trials")
    assert run.record.status == RunStatus.DONE
    assert len(trials_of(run)) == 12
    seen = authors(run)
    assert seen["analyst carried_out"] > 0
    assert seen["scripted refused"] > 0
    assert not seen["scripted carried_out"]


def test_an_unknown_model_stops_the_run_and_it_can_be_resumed(
    model: Search, chat_server: ScriptedServer, home: Path
) -> None:
    chat_server.enqueue(fail(404, "no such model"))
    with pytest.raises(ConfigError, match="has no model 'scripted'"):
        model(budget="12 trials")
    with Ledger.open(home) as ledger:
        (run_id,) = [run.id for run in ledger.runs.all()]
        assert ledger.runs.get(run_id).status == RunStatus.INTERRUPTED
        before = [trial.number for trial in ledger.trials.of(run_id)]
    chat_server.otherwise = able_model()
    run = vt.open(run_id, home=home)
    assert run.resume(api_key=KEY) == RunStatus.DONE
    assert len(trials_of(run)) == 12 >= len(before) >= 4


def test_a_token_budget_is_never_overrun(model: Search, chat_server: ScriptedServer) -> None:
    chat_server.otherwise = able_model()
    run = model(budget="16 trials, 9k tokens")
    with Ledger.open(run.home) as ledger:
        assert ledger.steps.spent(run.id).tokens <= 9000
    assert run.record.status == RunStatus.DONE


def test_a_dollar_budget_needs_a_price(model: Search, home: Path) -> None:
    with pytest.raises(ConfigError, match="price of model 'scripted' is unknown"):
        model(budget="12 trials, $1")


def test_what_the_model_was_told_is_in_the_ledger(
    model: Search, chat_server: ScriptedServer, home: Path
) -> None:
    chat_server.enqueue(call("fly", {}))
    chat_server.otherwise = able_model()
    run = model(budget="10 trials")
    with Ledger.open(home) as ledger:
        calls = [one for one in ledger.steps.calls(run.id) if one.chair == "architect"]
        told = [d.outcome for d in ledger.steps.decisions(run.id) if d.status == "invalid"]
    assert any("there is no tool 'fly'" in str(text) for text in told)
    assert any("there is no tool 'fly'" in one.prompt for one in calls)
    first = json.dumps(chat_server.bodies[0]["messages"][1]["content"])[1:60]
    assert first in json.dumps(calls[0].prompt)
