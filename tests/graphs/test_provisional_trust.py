"""A provisional cut is lent: a wrong one is undone and recovered from, stopped or not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import outcome_of

import vitruvius as vt
from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import Proposal, RunView
from vitruvius.api import create
from vitruvius.evals.searches import Searched, run_search
from vitruvius.evals.synthetic import SLOTS, SyntheticTask, create_space
from vitruvius.events import Event, EventKind
from vitruvius.graphs.search import provisional_trust as loans
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.prune import EVIDENCE, PROGRAM
from vitruvius.graphs.search.schedule import LOAN
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import CutRecord, Evidence, Standing
from vitruvius.settings import Policy
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Choice, Slot

SPACE = create_space()
TASK = SyntheticTask()


def worst_choice() -> Rule:
    """Requires at the slot that matters most the choice that is worst there."""
    slot = int(TASK._single.std(axis=1).argmax())
    choice = f"op{int(TASK._single[slot].argmin())}"
    return Rule(stance="require", all=(SlotCondition(slot=f"slot_{slot}", choices=(choice,)),))


def searched(rule: Rule, queries: int = 20, **more: Any) -> Searched:
    return run_search(SPACE, TASK, queries=queries, seed=3, cuts=[rule], **more)


@pytest.mark.parametrize("every", [8, 40])
def test_a_wrong_cut_is_undone_when_its_loan_is_over(every: int) -> None:
    rule = worst_choice()
    found = searched(rule, policy=Policy(reflect_every=every))
    [cut] = found.cuts
    assert (cut.undone_step, cut.undone_by) == (LOAN, EVIDENCE)
    assert "do not bear it out" in (cut.undone_reason or "")
    inside = Region(SPACE).with_cut(_as_cut(cut)).contains
    chosen = [t for t in found.trials if t.propensity is None]
    assert all(inside(t.architecture) for t in chosen if t.number <= LOAN)
    after = [t for t in chosen if t.number > LOAN]
    assert not all(inside(t.architecture) for t in after)
    best = max(found.trials, key=lambda t: t.value or -99)
    assert not inside(best.architecture)


def _as_cut(record: CutRecord) -> Cut:
    return Cut(number=1, rule=record.rule, principle=record.principle, reason="")


def listed_space() -> SlotSpace:
    names = tuple(Choice(name=f"op{number}") for number in range(5))
    return SlotSpace("listed", [Slot(name=f"slot_{n}", choices=names) for n in range(SLOTS // 3)])


class Short(SyntheticTask):
    """The made-up task on the first slots only."""

    def lookup(self, architecture: Any, fidelity: Any, seed: int) -> Any:
        spec = {f"slot_{n}": "op0" for n in range(SLOTS)} | architecture.spec
        return super().lookup(SPACE.parse(spec), fidelity, seed)


def test_a_run_whose_region_is_used_up_goes_on_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (loans, schedule):
        monkeypatch.setattr(module, "LOAN", 1000)
    rule = Rule(stance="require", all=(SlotCondition(slot="slot_0", choices=("op1",)),))
    found = run_search(listed_space(), Short(), queries=45, seed=0, cuts=[rule])
    assert len(found.trials) == 45
    assert found.cuts[0].undone_by == PROGRAM
    inside = [t.architecture.spec["slot_0"] == "op1" for t in found.trials]
    assert sum(inside) > 20
    assert not any(inside[-5:])


@pytest.mark.parametrize("stop_at", [5, 8, 11])
def test_a_stopped_run_gives_up_the_same_cut(tmp_path: Path, stop_at: int) -> None:
    calm = started(tmp_path / "calm")
    calm.resume()
    run = started(tmp_path / "stopped")
    done = 0

    def listen(event: Event) -> None:
        nonlocal done
        done += event.kind == EventKind.TRIAL_DONE
        if event.kind == EventKind.TRIAL_DONE and done == stop_at:
            run.stop()

    run.resume(on_event=listen)
    run.resume()
    assert outcome_of(run) == outcome_of(calm)
    assert cuts_of(run) == cuts_of(calm)
    assert not cuts_of(run)[0].in_force


def started(home: Path) -> vt.SearchRun:
    """A run in the ledger that has recalled one principle and cut by it."""
    rule = worst_choice()
    run = create(
        TASK, SPACE, "14 trials", home=home, workers=1, model="analyst", seed=3, reflect_every=40
    )
    told = {
        "name": "P1", "statement": "keep to it", "rule": rule.model_dump(exclude_none=True),
        "space": SPACE.name, "task": TASK.name, "author": "another", "rationale": "told",
    }  # fmt: skip
    with Ledger.open(home) as ledger:
        [version] = ledger.principles.take_in(
            {"format": "vitruvius-principles", "version": 1, "principles": [told]}
        )
        ledger.principles.adopt(run.id, version.name, trust=1.0, source_effect=None, similarity=1.0)
        ledger.cuts.add(
            run.id, 0, rule=rule, principle=version.name, reason="told", provisional=True,
            kept=0.2, top_loss_high=0.0,
        )  # fmt: skip
        ledger.steps.mark(run.id, "recalled", 0, {"adopted": 1})
    return run


def cuts_of(run: vt.SearchRun) -> list[CutRecord]:
    with Ledger.open(run.home) as ledger:
        return [_anonymous(cut) for cut in ledger.cuts.of(run.id)]


def _anonymous(cut: CutRecord) -> CutRecord:
    return replace(cut, run_id="")


def test_the_word_of_other_runs_falls_to_nothing_where_the_trials_do_not_bear_it_out() -> None:
    spoken = Evidence(
        run_id="r", principle=1, version=1, up_to=LOAN, look=1, n_in=3, n_out=3, effect=0.5,
        low=-1.0, high=2.0, p_value=1.0, doubly_robust=None, points=None, top_loss=0.3,
        top_loss_high=1.0, kept=0.5, standing=Standing.CANDIDATE,
    )  # fmt: skip
    assert loans.trust_left(0.9, spoken, LOAN) == 0.9
    unspoken = replace(spoken, top_loss=0.4)
    assert loans.trust_left(0.9, unspoken, LOAN - 1) == 0.9
    assert loans.trust_left(0.9, unspoken, LOAN) == 0
    assert loans.trust_left(0.9, replace(spoken, standing=Standing.CONTRADICTED), LOAN) == 0
    assert loans.trust_left(0.9, None, 3 * LOAN) == 0.9


def test_a_wrong_principle_has_no_weight_in_the_view_once_it_is_measured() -> None:
    trusts: list[tuple[int, float]] = []

    class Watched(Analyst):
        async def decide(self, view: RunView) -> Proposal:
            told = [p.trust for p in view.principles if p.version.run_id is None]
            trusts.append((len(view.trials), sum(told)))
            return await super().decide(view)

    searched(worst_choice(), 12, chairs=(Watched(), Analyst()))
    assert {trust for seen, trust in trusts if seen < LOAN} == {1.0}
    assert {trust for seen, trust in trusts if seen >= LOAN} == {0.0}
