"""Runs that stop trainings early: on recorded curves and really trained, killed and resumed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs.helpers import SPACE, outcome_of, trials_of

import vitruvius as vt
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, ResultStatus, RunStatus

EPOCHS = 9
STOPPED = ResultStatus.STOPPED_EARLY


@pytest.fixture
def given(tmp_path: Path, home: Path) -> dict[str, Any]:
    """What `vt.search` is given: a table of 81 learning curves, a second an epoch."""
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, 3))
    lines = ["arch.p,arch.q,arch.r,arch.s,acc,epochs,train_s"]
    for place in range(81):
        row = [place // 3**slot % 3 for slot in range(4)]
        score = 80 + effects[range(4), row].sum()
        cells = ",".join("abc"[choice] for choice in row)
        for epoch in range(1, EPOCHS + 1):
            lines.append(f"{cells},{score - 20 / epoch + 0.1 * rng.normal():.4f},{epoch},{epoch}")
    table = tmp_path / "t.csv"
    table.write_text("\n".join(lines) + "\n")
    return {
        "task": f"table:{table},metric=acc",
        "space": f"table:{table}",
        "budget": "30 trials, 1h of training",
        "model": "analyst",
        "home": home,
        "halving": True,
    }


def test_a_run_on_curves_stops_the_poor_and_pays_only_for_epochs_used(
    given: dict[str, Any],
) -> None:
    run = vt.search(**given)
    trials = trials_of(run)
    stopped = [trial for trial in trials if trial.status == STOPPED]
    assert len(stopped) >= 5
    assert {trial.origin for trial in stopped} <= {Origin.ARCHITECT, Origin.EXPLORE}
    for trial in stopped:
        assert trial.value is None
        assert len(trial.curve) in (1, 3)
        assert trial.train_s == len(trial.curve)
    whole = [trial for trial in trials if trial.status == ResultStatus.DONE]
    assert all(trial.train_s == EPOCHS for trial in whole)
    with Ledger.open(run.home) as ledger:
        assert ledger.steps.spent(run.id).train_s == sum(trial.train_s or 0.0 for trial in trials)
    assert run.best.architecture not in {trial.architecture for trial in stopped}
    report = run.report
    cost = sum(trial.train_s or 0.0 for trial in stopped)
    assert f"Stopped early: {len(stopped)} trainings (" in report
    assert f"in {cost:.0f} s; to the end they would have taken" in report


def test_another_run_trains_to_the_end_what_was_stopped(given: dict[str, Any]) -> None:
    first = vt.search(**given)
    again = vt.search(**given | {"halving": False, "principles_from": ("none",)})
    assert any(trial.status == STOPPED for trial in trials_of(first))
    assert all(trial.status == ResultStatus.DONE for trial in trials_of(again))


def test_a_table_without_curves_and_trainings_too_short_are_refused(
    given: dict[str, Any], tmp_path: Path
) -> None:
    table = tmp_path / "short.csv"
    table.write_text("arch.p,acc,epochs,train_s\na,1,9,1\nb,2,9,1\n")
    with pytest.raises(ConfigError, match=r"records no learning curves.*lacks 8 of 9 epochs"):
        vt.search(**given | {"task": f"table:{table},metric=acc", "space": f"table:{table}"})
    with pytest.raises(ConfigError, match="too short to stop one early"):
        vt.search(**given | {"task": "digits:epochs=2", "space": SPACE})


@pytest.mark.slow
def test_real_trainings_are_stopped_the_same_ones_after_a_stop_and_resume(
    given: dict[str, Any], tmp_path: Path, home: Path
) -> None:
    given |= {"task": "digits:epochs=3,samples=300", "space": SPACE, "budget": "16 trials"}
    given["workers"] = 1
    calm = vt.search(**given | {"home": tmp_path / "calm"})
    assert any(trial.status == STOPPED for trial in trials_of(calm))
    done = 0

    def stop_in_the_middle(event: Event) -> None:
        nonlocal done
        done += event.kind == EventKind.TRIAL_DONE
        if done == 11:
            with Ledger.open(home) as ledger:
                name = ledger.runs.all()[0].id
            vt.open(name, home=home).stop()

    with Ledger.open(home):
        pass
    run = vt.search(**given, on_event=stop_in_the_middle)
    assert run.record.status == RunStatus.INTERRUPTED
    assert run.resume() == RunStatus.DONE
    assert outcome_of(run) == outcome_of(calm)
