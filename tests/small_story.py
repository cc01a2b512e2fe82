"""A small run written into a ledger by hand: nine trials of a tiny space, and what they taught."""

from pathlib import Path

from runs.helpers import LOOKUP, SPACE

import vitruvius as vt
from vitruvius.budget import Budget
from vitruvius.memory.edits import Add
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import (
    DecisionStatus,
    Evidence,
    NewTrial,
    Origin,
    ResultStatus,
    RunStatus,
    Standing,
)
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import RangeCondition, Rule, SlotCondition
from vitruvius.tasks.registry import load_task

# width, activation, norm, and the error
TRIALS = [
    ("2", "relu", "yes", 18.0), ("16", "none", "no", 6.0), ("8", "tanh", "no", 12.0),
    ("1", "none", "yes", None), ("16", "tanh", "yes", 4.0), ("16", "tanh", "no", 3.8),
    ("12", "tanh", "no", 8.0), ("16", "relu", "no", 4.1), ("16", "tanh", "no", 3.9),
]  # fmt: skip


def tell_small_story(home: Path, *, message: str = "it diverged", more: str = "") -> vt.SearchRun:
    """Returns an interrupted run of 20 trials; `more` is added to texts that others wrote."""
    space, task = load_space(SPACE), load_task(LOOKUP)
    with Ledger.open(home) as ledger:
        run = ledger.runs.create(
            space_ref=space.ref, space_id=space.id, space_name=space.name, task_ref=task.ref,
            task_id=task.id, task_name=task.name, seed=0, budget=Budget(trials=20),
            settings={"model": "analyst", "workers": 1}, sources={},
        )  # fmt: skip
        ledger.runs.claim(run.id, "me")
        decision = ledger.steps.add_decision(
            run.id, 0, "analyst", {"tool": "train"}, DecisionStatus.ACCEPTED
        )
        news = []
        for place, (width, activation, norm, _) in enumerate(TRIALS):
            spec = {"width": width, "activation": activation, "norm": norm}
            origin = Origin.EXPLORE if place < 4 else Origin.ARCHITECT
            origin = Origin.REPEAT if place == len(TRIALS) - 1 else origin
            news.append(
                NewTrial(architecture=space.parse(spec), fidelity="1ep",
                         seed=place if origin == Origin.REPEAT else 0, origin=origin,
                         propensity=1.0 if origin == Origin.EXPLORE else None)
            )  # fmt: skip
        trials = ledger.trials.open(run.id, decision.id, news)
        for trial, (*_, value) in zip(trials, TRIALS, strict=True):
            ledger.results.start(trial.result_id, "me")
            failed = value is None
            ledger.results.close(
                trial.result_id, value=value, train_s=1.0, params=10,
                status=ResultStatus.DIVERGED if failed else ResultStatus.DONE,
                test=None if failed else 77.77, message=message if failed else None,
            )  # fmt: skip
        ledger.steps.close_decision(decision.id, DecisionStatus.CARRIED_OUT, "done")
        _learn(ledger, run.id, more)
        ledger.runs.release(run.id, "me", RunStatus.INTERRUPTED)
    return vt.open(run.id, home=home)


def _learn(ledger: Ledger, run_id: str, more: str) -> None:
    wide = Rule(stance="require", all=(RangeCondition(feature="width", at_least=12),))
    tanh = Rule(stance="require", all=(SlotCondition(slot="activation", choices=("tanh",)),))
    for step, (rule, text) in enumerate(((wide, "Wide is good."), (tanh, "Prefer tanh."))):
        add = Add(statement=text + more, rule=rule, rationale=f"seen{more}")
        ledger.principles.apply_edit(run_id, "lookup", "tiny", step, "analyst", add)
    rows = ((1, 1.5, Standing.SUPPORTED, (5, 6, 8), (1, 3)),
            (2, 0.2, Standing.CANDIDATE, (5, 6), (3, 7)))  # fmt: skip
    ledger.evidence.add(
        [
            Evidence(
                run_id=run_id, principle=principle, version=1, up_to=9, look=1, n_in=5, n_out=3,
                effect=effect, low=effect - 0.5, high=effect + 0.5, p_value=0.01,
                doubly_robust=effect, points=-4.0, top_loss=0.0, top_loss_high=0.01, kept=0.25,
                standing=standing, supporting=supporting, contradicting=contradicting,
            )
            for principle, effect, standing, supporting, contradicting in rows
        ]
    )  # fmt: skip
    ledger.cuts.add(run_id, 1, wide, "P1.1", f"narrow ones are bad{more}", False, 0.25, 0.01)
