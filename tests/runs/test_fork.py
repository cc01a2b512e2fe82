"""Forks: what another run had found up to a step, nothing later, and the same way on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE, outcome_of, trials_of

import vitruvius as vt
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind
from vitruvius.memory.decisions import Decision
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, RunStatus

Search = Callable[..., vt.SearchRun]
COLUMNS = Path(__file__).parent / "columns.py"
CONFIRMATION = "confirmation"


def facts(run: vt.SearchRun) -> dict[str, list[Any]]:
    """What a run decided, tried, measured, cut and wrote, without names that other runs number."""
    with Ledger.open(run.home) as ledger:
        rules = {
            (v.principle, v.version): (v.edit, v.rule.key, v.statement)
            for number in {e.principle for e in ledger.evidence.of(run.id)}
            for v in ledger.principles.versions(number)
        }
        return {
            "trials": outcome_of(run),
            "decisions": [
                (d.step, d.author, d.written, d.status) for d in ledger.steps.decisions(run.id)
            ],
            "evidence": sorted(
                (e.up_to, rules[e.principle, e.version][1], e.look, e.effect, e.low, e.standing)
                for e in ledger.evidence.of(run.id)
            ),
            "cuts": [(c.rule.key, c.made_step, c.undone_step) for c in ledger.cuts.of(run.id)],
            "principles": sorted(
                (v.rule.key, v.statement) for v in ledger.principles.current(run.id)
            ),
        }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> vt.SearchRun:
    """A run that is done, and was talked about while it worked."""
    home = tmp_path_factory.mktemp("home")

    def talk(event: Event) -> None:
        if event.kind in (EventKind.DECISION, EventKind.TRIAL_DONE, EventKind.REFLECTED):
            with Ledger.open(home) as ledger:
                ledger.requests.add_message(
                    ledger.runs.all()[0].id, "main", "user", event.kind.value
                )

    given: dict[str, Any] = {"workers": 1, "model": "analyst", "home": home, "on_event": talk}
    run = vt.search(f"{COLUMNS}:source", f"{COLUMNS}:space", "40 trials", cut_loss=0.1, **given)
    with Ledger.open(home) as ledger:
        cuts = ledger.cuts.of(run.id)
        assert len(cuts) > 1
        assert not all(cut.in_force for cut in cuts)
    return run


def steps_of(run: vt.SearchRun) -> list[Decision]:
    with Ledger.open(run.home) as ledger:
        return [d for d in ledger.steps.decisions(run.id) if d.author != CONFIRMATION]


def test_a_fork_at_any_step_sees_nothing_that_came_after(original: vt.SearchRun) -> None:
    made = {d.id: d for d in steps_of(original)}
    with Ledger.open(original.home) as ledger:
        trials, looks = ledger.trials.of(original.id), ledger.steps.marks(original.id, "verified")
        evidence, cuts = ledger.evidence.of(original.id), ledger.cuts.of(original.id)
        messages = ledger.requests.messages(original.id, "main")
        assert looks
        assert evidence
    for step in (0, 3, 8, 15, 16, 17, 22, 31, 36, 37, 38):
        fork = original.fork(step)
        until = {d.id for d in made.values() if d.step <= step}
        shared = [t for t in trials if t.decision_id in until]
        seen = [look for look in looks if look.data["step"] <= step]
        with Ledger.open(fork.home) as ledger:
            copied = ledger.trials.of(fork.id)
            assert [(t.number, t.result_id) for t in copied] == [
                (t.number, t.result_id) for t in shared
            ]
            assert all(t.reused for t in copied)
            assert [m.data for m in ledger.steps.marks(fork.id, "verified")] == [
                m.data for m in seen
            ]
            assert ledger.steps.count_marks(fork.id, "reflected") == len(seen)
            closed = max((m.data["closed"] for m in seen), default=0)
            assert len(ledger.evidence.of(fork.id)) == sum(e.up_to <= closed for e in evidence)
            assert [c.number for c in ledger.cuts.of(fork.id)] == [
                c.number for c in cuts if c.made_step <= step
            ]
            assert all(c.in_force or (c.undone_step or 0) <= step for c in ledger.cuts.of(fork.id))
            assert [m.text for m in ledger.requests.messages(fork.id, "main")] == [
                m.text for m in messages if m.step <= step
            ]
            assert len(ledger.principles.current(fork.id)) == 0 or seen
            assert ledger.steps.spent(fork.id).wall_s == 0
            assert ledger.steps.spent(fork.id).trials == len(shared)
        assert fork.record.forked_from == original.id
        assert fork.record.forked_at == step
        assert fork.record.status == RunStatus.INTERRUPTED


@pytest.mark.parametrize("step", [16, pytest.param(3, marks=pytest.mark.slow), 31])
def test_a_fork_that_is_not_steered_goes_the_same_way(original: vt.SearchRun, step: int) -> None:
    fork = original.fork(step)
    assert fork.resume() == RunStatus.DONE
    assert facts(fork) == facts(original)
    assert all(trial.reused for trial in trials_of(fork))  # results are shared, later ones too


def test_a_fork_of_a_fork_is_a_fork_of_the_first(original: vt.SearchRun) -> None:
    grandchild, child = original.fork(31).fork(18), original.fork(18)
    assert facts(grandchild) == facts(child)
    with Ledger.open(original.home) as ledger:
        assert ledger.principles.newest(grandchild.id) == ledger.principles.newest(child.id)


def test_a_run_that_is_done_goes_on_as_a_fork_with_more_to_spend(search: Search) -> None:
    original = search(budget="8 trials")
    fork = original.fork(budget="12 trials")
    assert not [t for t in trials_of(fork) if t.origin == Origin.CONFIRM]
    assert fork.resume() == RunStatus.DONE
    trials = trials_of(fork)
    assert len(trials) == 12
    assert trials[-1].origin == Origin.CONFIRM
    assert original.record.status == RunStatus.DONE
    assert len(trials_of(original)) == 8


def test_a_running_run_can_be_forked(search: Search, home: Path) -> None:
    forks: list[vt.SearchRun] = []

    def listen(event: Event) -> None:
        done = event.kind == EventKind.TRIAL_DONE and event.data["trial"] in ("T5", "T9")
        if done:
            with Ledger.open(home) as ledger:
                run = vt.open(ledger.runs.all()[-1].id, home=home)
            forks.append(run.fork())

    run = search(budget="12 trials", on_event=listen)
    for fork in forks:
        assert not any(trial.status.is_open for trial in trials_of(fork))
        with Ledger.open(home) as ledger:
            assert ledger.steps.open_decision(fork.id) is None
        assert fork.resume() == RunStatus.DONE
        assert facts(fork) == facts(run)


def test_a_fork_is_steered_alone(original: vt.SearchRun) -> None:
    before, fork = facts(original), original.fork(34)
    fork.steer("slot_0 = op1")
    fork.steer("please hurry")
    fork.carry_out()
    fork.resume()
    assert facts(original) == before
    with Ledger.open(original.home) as ledger:
        assert ledger.requests.wishes(original.id) == []
        again = fork.fork(ledger.requests.wishes(fork.id)[-1].step)
        assert [w.written for w in ledger.requests.wishes(again.id)] == [
            w.written for w in ledger.requests.wishes(fork.id)
        ]


@pytest.mark.parametrize(("step", "told"), [(99, "no step 99 to fork at.* 0 to"), (-1, "no step")])
def test_an_unknown_step_is_one_sentence(original: vt.SearchRun, step: int, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        original.fork(step)


def test_a_run_that_has_not_begun_forks_to_one_that_has_not(home: Path) -> None:
    from vitruvius.api import create

    run = create(LOOKUP, SPACE, "6 trials", home=home, workers=1, model="analyst")
    with pytest.raises(ConfigError, match="no step that is over yet"):
        run.fork(0)
    fork = run.fork()
    assert fork.record.status == RunStatus.PENDING
    assert fork.resume() == run.resume() == RunStatus.DONE
