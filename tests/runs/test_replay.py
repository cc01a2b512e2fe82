"""A run with a model, done again without it from its stored replies: same decisions, or told."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, TINY, outcome_of
from runs.scripted import FAULTS, able_model

import vitruvius as vt
from vitruvius.__main__ import main
from vitruvius.agents.model.replayed_client import ReplayDiverged
from vitruvius.agents.model.scripted_server import ScriptedServer, fail
from vitruvius.api import create
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind
from vitruvius.graphs.drive.replay import export_recording
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus

Search = Callable[..., vt.SearchRun]


def facts(run: vt.SearchRun) -> dict[str, Any]:
    """What a run decided, believed, cut and was told, without what differs between two clocks."""
    with Ledger.open(run.home) as ledger:
        return {
            "trials": outcome_of(run),
            "versions": [
                (v.name, v.statement, v.rule.key, v.author)
                for v in ledger.principles.newest(run.id)
            ],
            "cuts": [(c.rule.key, c.principle, c.made_step) for c in ledger.cuts.of(run.id)],
            "decisions": [
                (d.step, d.author, d.written, d.status) for d in ledger.steps.decisions(run.id)
            ],
            "calls": [(c.chair, c.step, c.prompt, c.reply) for c in ledger.steps.calls(run.id)],
            "tokens": ledger.steps.spent(run.id).tokens,
        }


def record(search: Search, **given: Any) -> vt.SearchRun:
    """A run with the scripted model, on its bad day, whose server is gone afterwards."""
    with ScriptedServer().running() as server:
        server.otherwise = able_model(FAULTS)
        model = {"model": "scripted", "base_url": server.url, "api_key": "not-a-real-key-12345"}
        return search(**(model | {"budget": "24 trials, 900k tokens"} | given))


def test_a_replay_makes_the_same_decisions_with_the_server_gone(search: Search, home: Path) -> None:
    search(budget="12 trials", seed=5)  # principles of an earlier run are recalled
    run = record(search)
    search(budget="10 trials", seed=6)  # what came later must not be seen
    again = vt.search(replay=run.id, home=home)
    assert again.record.status == RunStatus.DONE
    assert facts(again) == facts(run)
    assert again.home == home / "replays" / f"{run.id}-1"
    assert any(author == "scripted" for _, author, _, _ in facts(run)["decisions"])


def test_a_recording_is_replayed_in_another_home_from_one_file(
    search: Search, home: Path, tmp_path: Path
) -> None:
    run = record(search, budget="16 trials")
    told = facts(run)
    export_recording(run.id, home, tmp_path / "paid.db")
    shutil.rmtree(home)
    again = vt.search(replay=str(tmp_path / "paid.db"), home=tmp_path / "elsewhere")
    assert facts(again) == told


@pytest.mark.parametrize("chairs", ["architect", "theorist"])
def test_a_replay_leaves_the_other_chair_to_the_analyst_too(search: Search, chairs: str) -> None:
    run = record(search, budget="16 trials, 900k tokens", model_chairs=chairs)
    again = vt.search(replay=run.id, home=run.home)
    told = facts(run)
    assert facts(again) == told
    assert {chair for chair, *_ in told["calls"]} == {"probe", chairs}


def test_wall_time_that_ended_a_run_ends_its_replay_at_the_same_decision(
    search: Search, home: Path
) -> None:
    run = record(search, budget="20 trials, 8h")
    again = vt.search(replay=run.id, home=home)
    assert facts(again)["trials"] == facts(run)["trials"]


def test_a_run_that_was_stopped_and_resumed_is_replayed_in_one_go(
    search: Search, home: Path, chat_server: ScriptedServer
) -> None:
    given = {"model": "scripted", "base_url": chat_server.url, "api_key": "not-a-real-key-12345"}
    answers, seen = able_model(), []

    def answer(body: Any) -> Any:
        seen.append(body)
        return fail(404, "gone") if len(seen) == 4 else answers(body)

    chat_server.otherwise = answer
    with pytest.raises(ConfigError, match="gone"):
        search(budget="16 trials, 900k tokens", **given)
    with Ledger.open(home) as ledger:
        (row,) = ledger.runs.all()
    run = vt.open(row.id, home=home)
    run.resume(api_key="not-a-real-key-12345")
    again = vt.search(replay=run.id, home=home)
    assert facts(again) == facts(run)


def test_a_replay_that_was_stopped_goes_on_where_it_stood(search: Search, home: Path) -> None:
    run = record(search, budget="20 trials, 900k tokens")
    again = create(replay=run.id, home=home)
    done = []

    def stop_in_the_middle(event: Event) -> None:
        done.append(event.kind == EventKind.TRIAL_DONE)
        if sum(done) == 9:
            again.stop()

    assert again.resume(on_event=stop_in_the_middle) == RunStatus.INTERRUPTED
    assert vt.open(again.id, home=again.home).resume() == RunStatus.DONE
    assert facts(again) == facts(run)


def change(file: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


def test_a_tampered_reply_is_noticed(search: Search, home: Path, tmp_path: Path) -> None:
    run = record(search, budget="16 trials")
    file = tmp_path / "paid.db"
    export_recording(run.id, home, file)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT id, answer FROM calls WHERE chair = 'architect'")
        number, answer = next((n, a) for n, a in rows if a and '\\"norm\\"' in a)
    for one, other in (("yes", "no"), ("no", "yes")):  # the first architecture that was named
        changed = answer.replace(f'"norm\\": \\"{one}', f'"norm\\": \\"{other}', 1)
        if changed != answer:
            break
    change(file, "UPDATE calls SET answer = ? WHERE id = ?", changed, number)
    with pytest.raises(ReplayDiverged):
        vt.search(replay=str(file), home=tmp_path / "elsewhere")


def test_a_tampered_score_is_noticed_at_the_first_line_that_differs(
    search: Search, home: Path, tmp_path: Path
) -> None:
    run = record(search, budget="16 trials")
    file = tmp_path / "paid.db"
    export_recording(run.id, home, file)
    change(file, "UPDATE calls SET prompt = replace(prompt, 'T1 ', 'T1 1') WHERE chair != 'probe'")
    with pytest.raises(ReplayDiverged, match=r"recorded: T1 1.*\n  here:     T1 "):
        vt.search(replay=str(file), home=tmp_path / "elsewhere")


def test_a_changed_task_is_noticed_before_any_work(
    search: Search, home: Path, tmp_path: Path
) -> None:
    run = record(search, budget="10 trials")
    with pytest.raises(ConfigError, match="was recorded on task lookup-1, and mnist1d"):
        vt.search("mnist1d", replay=run.id, home=home)
    other = tmp_path / "tiny.py"
    other.write_text(TINY.read_text().replace("20 - float", "21 - float"))
    with pytest.raises(ConfigError, match="was recorded on space tiny-"):
        vt.search(f"{other}:lookup", f"{other}:space", replay=run.id, home=home)


def test_the_same_files_in_another_place_are_the_same_task(
    search: Search, home: Path, tmp_path: Path
) -> None:
    run = record(search, budget="10 trials")
    other = tmp_path / "tiny.py"
    shutil.copy(TINY, other)
    again = vt.search(f"{other}:lookup", f"{other}:space", replay=run.id, home=home)
    assert facts(again)["trials"] == facts(run)["trials"]


def test_a_replay_takes_no_other_settings(search: Search, home: Path) -> None:
    run = search(budget="6 trials")
    with pytest.raises(ConfigError, match="leave out budget, seed"):
        vt.search(replay=run.id, budget="9 trials", seed=3, home=home)
    with pytest.raises(ConfigError, match="there is no run '261122-zzzz'"):
        vt.search(replay="261122-zzzz", home=home)


def test_the_command_line_records_and_replays(
    search: Search, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = record(search, budget="10 trials")
    for words in (
        ["recording", run.id, str(tmp_path / "paid.db"), "--home", str(home)],
        ["run", "--replay", str(tmp_path / "paid.db"), "--home", str(tmp_path / "h"), "--json"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    assert "replays" in capsys.readouterr().out


def test_a_run_of_the_analyst_is_replayed_as_well(search: Search, home: Path) -> None:
    run = search(budget="14 trials", task=LOOKUP, space=SPACE)
    assert facts(vt.search(replay=run.id, home=home)) == facts(run)
