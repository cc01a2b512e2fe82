"""A search in memory is the search that a run makes, and leaves nothing behind."""

import pickle
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from runs.helpers import LOOKUP, SPACE, row_of, trials_of

import vitruvius as vt
from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import Proposal, RunView
from vitruvius.errors import ConfigError, ToolError
from vitruvius.evals.searches import Searched, run_search
from vitruvius.evals.synthetic import SyntheticTask, create_space
from vitruvius.graphs.search.schedule import LOAN
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.tasks.registry import load_task

FIRST = Rule(stance="require", all=(SlotCondition(slot="slot_0", choices=("op0", "op1")),))


def small(seed: int) -> Searched:
    return run_search(create_space(), SyntheticTask(), queries=14, seed=seed)


def found(searched: Searched) -> list[tuple[int, str, float | None]]:
    return [(trial.number, trial.architecture.text, trial.value) for trial in searched.trials]


@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_what_a_run_on_disk_finds(seed: int, tmp_path: Path) -> None:
    run = vt.search(
        LOOKUP, SPACE, "20 trials", home=tmp_path, workers=1, model="analyst", seed=seed
    )
    searched = run_search(load_space(SPACE), load_task(LOOKUP), queries=20, seed=seed)
    assert [row_of(trial) for trial in searched.trials] == [row_of(t) for t in trials_of(run)]
    with Ledger.open(tmp_path) as ledger:
        assert [v.rule for v in searched.versions] == [
            v.rule for v in ledger.principles.current(run.id)
        ]
        effects = [e.effect for e in ledger.evidence.of(run.id)]
    assert effects
    assert [e.effect for e in searched.evidence] == effects


def test_it_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    small(0)
    assert list(tmp_path.iterdir()) == []


def test_it_works_in_another_process_and_comes_back_whole() -> None:
    with ProcessPoolExecutor(max_workers=1) as pool:
        elsewhere = pool.submit(small, 3).result()
    assert found(elsewhere) == found(small(3))
    assert pickle.loads(pickle.dumps(elsewhere)) == elsewhere


def test_cuts_are_in_force_from_the_first_trial_on() -> None:
    space = create_space()
    searched = run_search(space, SyntheticTask(), queries=14, seed=0, cuts=[FIRST])
    cut = searched.cuts[0]
    assert (cut.rule, cut.provisional, cut.made_step) == (FIRST, True, 0)
    assert cut.undone_step is None or cut.undone_step > 0
    chosen = [t for t in searched.trials[:LOAN] if t.origin == Origin.ARCHITECT]
    assert chosen
    assert all(t.architecture.spec["slot_0"] in ("op0", "op1") for t in chosen)
    assert any(e.principle == 1 for e in searched.evidence)  # and measured, like any other


def test_cuts_that_leave_too_little_or_repeat_are_refused() -> None:
    space, task = create_space(), SyntheticTask()
    narrow = [
        Rule(stance="require", all=(SlotCondition(slot=f"slot_{i}", choices=("op0",)),))
        for i in range(6)
    ]
    with pytest.raises(ToolError, match="would leave"):
        run_search(space, task, queries=8, seed=0, cuts=narrow)
    with pytest.raises(ConfigError, match="different rules"):
        run_search(space, task, queries=8, seed=0, cuts=[FIRST, FIRST])


@dataclass
class Watching:
    """The analyst, keeping what it was shown."""

    views: list[RunView] = field(default_factory=list)

    async def decide(self, view: RunView) -> Proposal:
        self.views.append(view)
        return await Analyst().decide(view)


def test_chairs_see_the_sources_and_may_be_exchanged() -> None:
    space, task = create_space(), SyntheticTask()
    earlier = small(7)
    source = Source(
        run_id=earlier.run.id,
        task_name=task.name,
        space=space,
        metric=task.metric,
        trials=earlier.trials,
        trust=0.5,
    )
    watching = Watching()
    run_search(space, task, queries=8, seed=0, sources=[source], chairs=(watching, Analyst()))
    assert watching.views
    assert all(view.sources == (source,) for view in watching.views)


def test_searches_in_one_ledger_remember_each_other() -> None:
    space, task = create_space(), SyntheticTask()
    with Ledger.in_memory() as ledger:
        first = run_search(space, task, queries=40, seed=0, ledger=ledger)
        second = run_search(space, task, queries=5, seed=1, ledger=ledger)
        assert [run.id for run in ledger.runs.all()]
        assert first.run.id != second.run.id
        supported = {e.principle for e in first.evidence if e.standing == "supported"}
        assert supported
        assert {adoption.version for adoption in ledger.principles.adopted(second.run.id)}
