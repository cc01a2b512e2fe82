"""Short trainings first: they guide the full ones, and the budget pays for both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs.helpers import outcome_of

import vitruvius as vt
from vitruvius.api import create
from vitruvius.events import Event, EventKind
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus, Spent
from vitruvius.run.short_first import SHORT_TRAININGS

Search = Callable[..., vt.SearchRun]
CHOICES = "abcd"
SHORT_S, FULL_S = 2.0, 20.0


@pytest.fixture
def given(tmp_path: Path, home: Path) -> dict[str, Any]:
    """What `vt.search` is given: a table of 256 architectures, trained for 1 and for 10 epochs."""
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, 4))
    lines = ["arch.p,arch.q,arch.r,arch.s,acc,epochs,train_s"]
    for place in range(256):
        row = [place // 4**slot % 4 for slot in range(4)]
        score = 90 + effects[range(4), row].sum()
        cells = ",".join(CHOICES[choice] for choice in row)
        lines.append(f"{cells},{score - 20 + 0.3 * rng.normal():.4f},1,{SHORT_S}")
        lines.append(f"{cells},{score:.4f},10,{FULL_S}")
    table = tmp_path / "t.csv"
    table.write_text("\n".join(lines) + "\n")
    return {
        "task": f"table:{table},metric=acc",
        "space": f"table:{table}",
        "budget": "12 trials, 1h of training",
        "model": "analyst",
        "home": home,
        "fidelity_first": "1ep",
    }


def short_of(run: vt.SearchRun) -> vt.SearchRun:
    parent = run.record.parent
    assert parent is not None
    return vt.open(parent, home=run.home)


def spent(run: vt.SearchRun) -> Spent:
    with Ledger.open(run.home) as ledger:
        return ledger.steps.spent(run.id)


def test_short_trainings_guide_the_full_ones_and_the_account_pays_for_both(
    given: dict[str, Any],
) -> None:
    run = vt.search(**given)
    short = short_of(run)
    assert short.record.status == RunStatus.DONE
    assert set(short.trials.fidelity) == {"1ep"}
    assert len(short.trials) == SHORT_TRAININGS
    assert set(run.trials.fidelity) == {"10ep"}
    assert spent(run).trials == len(run.trials) == 12
    assert spent(run).train_s == SHORT_TRAININGS * SHORT_S + 12 * FULL_S
    assert run.trials.value[:3].max() >= 91  # of 91.8 at most; the best 20 are above 90.5
    assert f"run {short.id} (search)" in run.report
    assert (
        f"Before them run {short.id} made {SHORT_TRAININGS} short trainings (1ep) in 40"
        in run.report
    )


def test_none_of_the_past_does_not_shut_out_the_short_trainings(given: dict[str, Any]) -> None:
    run = vt.search(**given, principles_from=("none",))
    assert run.record.settings["principles_from"] == [short_of(run).id]


def test_short_trainings_take_at_most_half_of_the_budget(given: dict[str, Any]) -> None:
    run = vt.search(**given | {"budget": "60s of training"})
    assert len(short_of(run).trials) == 15
    assert len(run.trials) == 2  # 30 s are left, and the last one is finished


@pytest.mark.parametrize("stopped_at", [5, SHORT_TRAININGS + 3])
def test_a_run_that_is_stopped_in_either_part_ends_as_if_it_had_not_been(
    given: dict[str, Any], tmp_path: Path, stopped_at: int
) -> None:
    whole = vt.search(**given)
    run = create(**given | {"home": tmp_path / "other"})
    done: list[str] = []

    def stop(event: Event) -> None:
        if event.kind == EventKind.TRIAL_DONE:
            done.append(str(event.data["trial"]))
            if len(done) == stopped_at:
                run.stop()

    assert run.resume(on_event=stop) == RunStatus.INTERRUPTED
    assert vt.open(run.id, home=run.home).resume() == RunStatus.DONE
    assert outcome_of(run) == outcome_of(whole)
    assert outcome_of(short_of(run)) == outcome_of(short_of(whole))
    assert spent(run).train_s == spent(whole).train_s


def test_it_is_refused_before_anything_is_written(given: dict[str, Any], home: Path) -> None:
    with pytest.raises(vt.ConfigError, match="records 1ep, 10ep, not 3ep"):
        vt.search(**given | {"fidelity_first": "3ep"})
    assert not (home / "ledger.db").exists()


def test_a_replay_of_the_full_trainings_finds_the_short_ones(given: dict[str, Any]) -> None:
    run = vt.search(**given)
    assert outcome_of(vt.search(replay=run.id, home=run.home)) == outcome_of(run)
