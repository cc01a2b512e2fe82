"""The whole loop with the analyst: real workers, real SQLite, real checkpoints."""

import asyncio
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, TRAINED, outcome_of, trials_of

import vitruvius as vt
from vitruvius.events import Event, EventKind
from vitruvius.graphs.drive.driver import KEPT_CHECKPOINTS
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, RunStatus

Search = Callable[..., vt.SearchRun]


def test_a_run_searches_confirms_and_reports(search: Search, home: Path) -> None:
    events: list[Event] = []
    run = search(task=TRAINED, budget="20 trials", workers=2, on_event=events.append)
    assert run.record.status == RunStatus.DONE
    trials = trials_of(run)
    assert [trial.number for trial in trials] == list(range(1, 21))
    assert {trial.status.value for trial in trials} == {"done"}
    origins = [trial.origin for trial in trials]
    assert origins[:4] == [Origin.EXPLORE] * 4
    assert origins.count(Origin.CONFIRM) == 3
    assert origins.count(Origin.EXPLORE) >= math.ceil(0.15 * 17)
    seeds = {trial.seed for trial in trials if trial.origin != Origin.CONFIRM}
    assert not seeds & {trial.seed for trial in trials if trial.origin == Origin.CONFIRM}
    text = (home / "runs" / run.id / "report.md").read_text()
    assert run.id in text
    assert "Status running" not in text
    kinds = {event.kind for event in events}
    assert {EventKind.STARTED, EventKind.TRIAL_DONE, EventKind.CONFIRM, EventKind.DONE} <= kinds
    assert (home / "runs" / run.id / "log.jsonl").stat().st_size > 0
    with sqlite3.connect(home / "checkpoints.db") as connection:
        count = connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
    assert 0 < count <= KEPT_CHECKPOINTS


def test_the_best_network_loads_its_weights(search: Search) -> None:
    run = search(task=TRAINED)
    best = run.best
    module = best.load()
    assert best.architecture in {trial.architecture for trial in trials_of(run)}
    assert sum(p.numel() for p in module.parameters()) == best.params


def test_a_run_that_reused_results_gives_weights_that_are_there(search: Search) -> None:
    search(task=TRAINED, budget="30 trials", workers=2)
    small = search(task=TRAINED, budget="4 trials")
    assert trials_of(small)[0].reused
    assert small.best.load() is not None
    assert str(small.best.weights) in small.report


def test_same_seed_same_run(search: Search, tmp_path: Path) -> None:
    one, two = search(), search(home=tmp_path / "other")
    assert outcome_of(one) == outcome_of(two)
    assert outcome_of(one) != outcome_of(search(home=tmp_path / "third", seed=1))


def test_a_second_run_reuses_results_for_nothing(search: Search) -> None:
    search()
    again = search(principles_from=["none"])  # one that knew the first would try others
    trials = trials_of(again)
    search_phase = [t for t in trials if t.origin == Origin.EXPLORE]
    assert all(trial.reused for trial in search_phase)


@pytest.mark.parametrize("stop_at", [1, 4, 8, 9, 12])
def test_a_stopped_run_resumes_to_the_same_end(
    search: Search, tmp_path: Path, stop_at: int
) -> None:
    calm = search(budget="16 trials")
    home = tmp_path / "stopped"
    with Ledger.open(home):
        pass
    done = 0

    def listen(event: Event) -> None:
        nonlocal done
        done += event.kind == EventKind.TRIAL_DONE
        if event.kind == EventKind.TRIAL_DONE and done == stop_at:
            newest().stop()

    def newest() -> vt.SearchRun:
        with Ledger.open(home) as ledger:
            return vt.open(ledger.runs.all()[0].id, home=home)

    run = search(budget="16 trials", home=home, on_event=listen)
    assert run.record.status == RunStatus.INTERRUPTED
    assert run.resume() == RunStatus.DONE
    assert outcome_of(run) == outcome_of(calm)


def test_a_done_run_cannot_be_resumed(search: Search) -> None:
    run = search(budget="6 trials")
    with pytest.raises(vt.ConfigError, match="is done"):
        run.resume()


def test_search_works_inside_a_running_loop(home: Path) -> None:
    async def main() -> tuple[vt.SearchRun, vt.SearchRun]:
        given: dict[str, Any] = {"budget": "6 trials", "workers": 1, "home": home}
        awaited = await vt.asearch(LOOKUP, SPACE, model="analyst", **given)
        return awaited, vt.search(LOOKUP, SPACE, model="analyst", seed=1, **given)

    for run in asyncio.run(main()):
        assert run.record.status == RunStatus.DONE


def test_an_object_must_be_given_again(home: Path) -> None:
    from vitruvius.spaces.registry import load_space
    from vitruvius.tasks.registry import load_task

    space = load_space(SPACE)
    space.ref = ""  # type: ignore[misc]
    given: dict[str, Any] = {"budget": "6 trials", "workers": 1, "home": home}
    run = vt.search(load_task(LOOKUP), space, model="analyst", **given)
    with pytest.raises(vt.ConfigError, match="give it again"):
        _ = vt.open(run.id, home=home).region


@pytest.mark.parametrize(
    ("name", "value", "share"), [("explore", 0.5, "explore"), ("control", 0.3, "control")]
)
def test_shares_of_the_settings_are_kept(
    search: Search, name: str, value: float, share: str
) -> None:
    run = search(budget="20 trials", **{name: value})
    made = [trial.origin.value for trial in trials_of(run) if trial.origin != Origin.CONFIRM]
    assert made.count(share) >= value * len(made) - 1


def test_a_person_may_refuse(search: Search) -> None:
    asked: list[Any] = []

    def ask(question: Any) -> dict[str, Any]:
        asked.append(question)
        return {"approved": len(asked) != 2, "reason": "too dear"}

    run = search(budget="8 trials", ask=ask)
    with Ledger.open(run.home) as ledger:
        refused = [d for d in ledger.steps.decisions(run.id) if d.status == "refused"]
    assert len(refused) == 1
    assert "too dear" in (refused[0].outcome or "")
    assert run.record.status == RunStatus.DONE


def test_a_person_who_refuses_everything_stops_the_run(search: Search) -> None:
    run = search(ask=lambda question: {"approved": False, "reason": "no"})
    assert run.record.status == RunStatus.INTERRUPTED
    assert trials_of(run) == []
    assert run.resume() == RunStatus.DONE


@pytest.mark.parametrize("answer", [None, "yes", {}, {"approved": "no"}])
def test_an_answer_that_is_none_approves_nothing(search: Search, home: Path, answer: Any) -> None:
    with pytest.raises(vt.ConfigError, match="ask must return"):
        search(ask=lambda question: answer)
    with Ledger.open(home) as ledger:
        assert ledger.trials.of(ledger.runs.all()[0].id) == []


def test_changed_source_is_refused(tmp_path: Path, home: Path) -> None:
    source = Path(SPACE.rsplit(":", 1)[0]).read_text()
    copy = tmp_path / "copy.py"
    copy.write_text(source)
    run = vt.search(
        f"{copy}:task", f"{copy}:space", "6 trials", home=home, workers=1, model="analyst"
    )
    with Ledger.open(home) as ledger:
        new = ledger.runs.create(
            space_ref=run.record.space_ref,
            space_id=run.record.space_id,
            space_name=run.record.space_name,
            task_ref=run.record.task_ref,
            task_id=run.record.task_id,
            task_name=run.record.task_name,
            seed=0,
            budget=run.record.budget,
            settings=run.record.settings,
            sources=run.record.sources,
        )
    copy.write_text(source + "\n# changed\n")
    with pytest.raises(vt.ConfigError, match="changed since"):
        vt.open(new.id, home=home).resume()
