"""Transfer through the whole loop: what is learned, recalled, trusted, refused and paid for."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import outcome_of, trials_of

import vitruvius as vt
from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import Proposal, Rewrite, RunView
from vitruvius.events import Event, EventKind
from vitruvius.graphs.drive import driver
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, RunKind, RunStatus
from vitruvius.tools.report import build_report

COLUMNS = Path(__file__).parent / "columns.py"
SPACE = f"{COLUMNS}:space"
SOURCE, TARGET, INVERTED = (f"{COLUMNS}:{name}" for name in ("source", "target", "inverted"))
Search = Callable[..., vt.SearchRun]


@pytest.fixture
def learn(home: Path) -> Search:
    def start(source: str = SOURCE, **given: Any) -> vt.SearchRun:
        return vt.learn(source, **{"space": SPACE, "home": home, **given})

    return start


@pytest.fixture
def target(search: Search) -> Search:
    """Searches the target's column with the analyst."""

    def start(**given: Any) -> vt.SearchRun:
        return search(**{"task": TARGET, "space": SPACE, "budget": "12 trials", **given})

    return start


@pytest.fixture
def looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Returns what was looked up of a column, in order."""
    log = tmp_path / "looked_up.txt"
    log.touch()
    monkeypatch.setenv("LOOKED_UP", str(log))

    def of(name: str) -> list[str]:
        lines = [line.partition(" ") for line in log.read_text().splitlines()]
        return [text for column, _, text in lines if column == name]

    return of


class Watcher:
    """The analyst, and every view that it was given."""

    def __init__(self) -> None:
        self.analyst, self.views = Analyst(), list[RunView]()

    async def decide(self, view: RunView) -> Proposal:
        self.views.append(view)
        return await self.analyst.decide(view)

    async def rewrite(self, view: RunView) -> Rewrite:
        self.views.append(view)
        return await self.analyst.rewrite(view)


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Watcher:
    made = Watcher()
    monkeypatch.setattr(driver, "create_chairs", lambda *given: (made, made))
    return made


def recalled(run: vt.SearchRun) -> dict[str, Any]:
    with Ledger.open(run.home) as ledger:
        return dict(ledger.steps.marks(run.id, "recalled")[0].data)


def test_a_table_becomes_a_finished_run_with_measured_principles(learn: Search) -> None:
    run = learn()
    assert (run.record.kind, run.record.status) == (RunKind.LEARN, RunStatus.DONE)
    assert {trial.origin for trial in trials_of(run)} == {Origin.GIVEN}
    assert len(trials_of(run)) == len(run.space.members() or ())
    assert len(run.principles) >= 3
    assert set(run.principles["standing"]) == {"supported"}
    assert (run.principles["low"] > 0).all()
    assert "Nothing was trained" in run.report


def test_learning_reads_the_named_column_only(
    learn: Search, looked_up: Callable[[str], list[str]]
) -> None:
    learn()
    assert len(looked_up("source")) == 81
    assert not looked_up("target")
    assert not looked_up("inverted")


def test_no_score_of_the_target_is_seen_before_it_is_paid_for(
    target: Search, watcher: Watcher, looked_up: Callable[[str], list[str]]
) -> None:
    run = target(principles_from=[SOURCE], budget="16 trials")
    paid = [trial.architecture.text for trial in trials_of(run)]
    assert sorted(looked_up("target")) == sorted(paid)
    assert len(looked_up("source")) == 81
    assert len(watcher.views) > 4
    for view in watcher.views:
        seen = [trial.architecture.text for trial in view.trials]
        assert seen == paid[: len(seen)]
        assert [source.task_name for source in view.sources] == ["source"]
        for trial in view.sources[0].trials:
            assert trial.run_id != run.id
            assert trial.value == COLUMN_VALUES[trial.architecture.text]


@pytest.mark.parametrize("where", ["learned", "named"])
def test_the_targets_own_table_is_no_source(learn: Search, target: Search, where: str) -> None:
    name = TARGET if where == "named" else learn(TARGET).id
    with pytest.raises(vt.ConfigError, match="only the scores that it has paid for"):
        target(principles_from=[name])


def test_memory_keeps_quiet_about_the_targets_own_table(learn: Search, target: Search) -> None:
    learn(TARGET)
    events: list[Event] = []
    run = target(on_event=events.append)
    assert recalled(run)["sources"] == []
    assert not [e for e in events if e.kind == EventKind.RECALLED]
    assert [e for e in events if e.kind == EventKind.REFUSED and "paid for" in e.text]
    assert "only the scores that it has paid for" in run.report


def test_what_another_table_taught_outlives_the_targets_own_lesson(
    learn: Search, target: Search
) -> None:
    ours, _ = learn(SOURCE), learn(TARGET)  # finds the same principles again
    run = target()
    with Ledger.open(run.home) as ledger:
        adopted = {
            ledger.principles.version(a.version).run_id for a in ledger.principles.adopted(run.id)
        }
    assert adopted == {ours.id}


def test_transfer_needs_fewer_trials(target: Search, learn: Search, home: Path) -> None:
    cold = [_best(target(principles_from=["none"], seed=seed)) for seed in (1000, 1001, 1002)]
    learned = learn()
    warm = [_best(target(principles_from=[learned.id], seed=seed)) for seed in (1000, 1001, 1002)]
    assert sum(warm) > sum(cold)


def _best(run: vt.SearchRun) -> float:
    return max(trial.value or 0.0 for trial in trials_of(run)[:6])


def test_only_the_named_run_is_recalled(learn: Search, target: Search) -> None:
    first, _ = learn(SOURCE), learn(INVERTED)
    run = target(principles_from=[first.id])
    assert [one["run"] for one in recalled(run)["sources"]] == [first.id]
    run = target()
    assert len(recalled(run)["sources"]) >= 2


def test_several_sources_may_be_named(target: Search) -> None:
    run = target(principles_from=[SOURCE, INVERTED], budget="20 trials")
    good, bad = recalled(run)["sources"]
    assert run.report.count("learned from rows") == 2
    with Ledger.open(run.home) as ledger:
        weights = ledger.steps.marks(run.id, "transferred")[-1].data["weights"]
    assert weights[good["run"]] > weights[bad["run"]]
    assert f"{weights[bad['run']]:.2f} |" in run.report
    later_good, later_bad = recalled(target(principles_from=[SOURCE, INVERTED]))["sources"]
    assert later_bad["trust"] / bad["trust"] < later_good["trust"] / good["trust"] <= 1


def test_what_the_last_note_of_a_run_says_is_what_its_report_shows(
    learn: Search, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = learn()
    run = vt.create(
        TARGET, SPACE, "30 trials", home=home, model="analyst", reflect_every=4, workers=1,
        principles_from=(learned.id,),
    )  # fmt: skip

    def stop_at_ten(event: Event) -> None:
        if event.data.get("trial") == "T10":
            run.stop()

    assert run.resume(on_event=stop_at_ten) == RunStatus.INTERRUPTED  # its report notes weights

    async def killed_at_eighteen(self: Analyst, view: RunView) -> Proposal:
        if len(view.trials) >= 18:
            raise vt.VitruviusError("killed")
        return await decide(self, view)

    decide = Analyst.decide
    monkeypatch.setattr(Analyst, "decide", killed_at_eighteen)
    with pytest.raises(vt.VitruviusError, match="killed"):
        run.resume()
    with closing(sqlite3.connect(home / "ledger.db")) as plain:
        notes = plain.execute(
            "SELECT data FROM marks WHERE run_id = ? AND name = 'transferred' ORDER BY rowid",
            (run.id,),
        ).fetchall()
    weights = [json.loads(data)["weights"][learned.id] for (data,) in notes]
    assert weights[-1] != weights[0]
    with Ledger.open(home) as ledger:
        report = build_report(ledger, run.id, run.space, run.task)
    assert report.transfer is not None
    assert report.transfer.sources[0].weight == weights[-1]


def test_rules_travel_to_another_space_and_never_cut_unmeasured(
    learn: Search, target: Search
) -> None:
    learned = learn(name="target")  # trusted fully: a cut of this space would be allowed
    run = target(space=f"{COLUMNS}:cousin_space", principles_from=[learned.id])
    with Ledger.open(run.home) as ledger:
        adopted = [
            ledger.principles.version(one.version) for one in ledger.principles.adopted(run.id)
        ]
        cuts = [cut for cut in ledger.cuts.of(run.id) if cut.provisional]
    refused = recalled(run)["refused"]
    assert adopted
    assert {(v.edit, v.space_name, v.run_id) for v in adopted} == {("carry", "cousins", run.id)}
    assert all(v.parents[0].startswith("P") for v in adopted)
    assert len(adopted) + len(refused) == len(learned.principles)
    assert any("slot_3" in refusal["why"] for refusal in refused)
    assert [one["run"] for one in recalled(run)["sources"]] == [learned.id]
    assert cuts == []


def test_none_recalls_nothing(learn: Search, target: Search) -> None:
    learn()
    run = target(principles_from=["none"])
    assert recalled(run) == {"adopted": 0, "sources": [], "refused": []}
    assert "Nothing: no principle and no run of the past was used" in run.report


def test_a_table_is_learned_from_once(target: Search, home: Path) -> None:
    for _ in range(2):
        target(principles_from=[SOURCE])
    with Ledger.open(home) as ledger:
        assert [run.kind for run in ledger.runs.all()].count(RunKind.LEARN) == 1


def test_an_earlier_search_can_be_learned_from(learn: Search, target: Search) -> None:
    first = target(principles_from=["none"], budget="30 trials")
    again = vt.learn(first.id, home=first.home)
    assert again.record.parent == first.id
    values = {trial.architecture: trial.value for trial in trials_of(first)}
    assert {trial.architecture: trial.value for trial in trials_of(again)} == values
    assert all(trial.reused for trial in trials_of(again))


def test_another_space_is_refused_with_the_reason(home: Path, learn: Search) -> None:
    learn()
    events: list[Event] = []
    run = vt.search(
        f"{Path(__file__).parent / 'tiny.py'}:lookup",
        f"{Path(__file__).parent / 'tiny.py'}:space",
        "10 trials",
        home=home,
        model="analyst",
        on_event=events.append,
    )
    assert recalled(run)["sources"] == []
    assert not run.record.settings.get("learn")


def test_a_resume_finds_the_same_sources(target: Search, learn: Search, home: Path) -> None:
    learn()
    twin = home.with_name("twin")
    shutil.copytree(home, twin)
    calm = target(home=twin)
    run: vt.SearchRun | None = None

    def stop(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE and event.data["trial"] == "T7":
            vt.open(ledger_run(home), home=home).stop()

    run = target(on_event=stop)
    assert run.record.status == RunStatus.INTERRUPTED
    learn(INVERTED)  # memory has grown since
    vt.open(run.id, home=home).resume()
    assert outcome_of(run) == outcome_of(calm)


def ledger_run(home: Path) -> str:
    with Ledger.open(home) as ledger:
        return next(run.id for run in ledger.runs.all() if run.kind == RunKind.SEARCH)


KILLED = """
import os, signal, sys
import vitruvius as vt
from vitruvius.memory.ledger.evidence import Measurements

write, calls = Measurements.add, []
def add_evidence(self, evidence):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, evidence)
Measurements.add = add_evidence
vt.learn(sys.argv[1], sys.argv[2], home=sys.argv[3])
"""


def test_learning_survives_a_kill_in_its_middle(
    learn: Search, home: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    words = [sys.executable, "-c", KILLED, SOURCE, SPACE, str(home)]
    done = subprocess.run(words, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    with Ledger.open(home) as ledger:
        (row,) = ledger.runs.all()
        assert len(ledger.evidence.of(row.id)) == 2
    run = vt.open(row.id, home=home)
    run.resume()
    calm = learn(home=tmp_path / "calm")
    assert run.record.status == RunStatus.DONE
    assert outcome_of(run) == outcome_of(calm)
    assert run.principles.equals(calm.principles)
    with pytest.raises(vt.ConfigError, match="learns only once"):
        run.resume()


def _column_values() -> dict[str, float]:
    from vitruvius.spaces.registry import load_object, load_space

    column: Any = load_object(SOURCE)
    return {member.text: column.value(member) for member in load_space(SPACE).members() or ()}


COLUMN_VALUES = _column_values()
