"""Principles from rows: rewritten and measured until nothing changes, away from the ledger.

A run that learns writes what is left in the end: a kill in between leaves nothing half said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vitruvius.agents.analyst.analyst import AUTHOR
from vitruvius.agents.analyst.edits import propose_edits
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.budget import Budget
from vitruvius.memory.edits import Add
from vitruvius.memory.evidence.effects import Key, measure
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Evidence, PrincipleVersion, Run, Spent, Standing, Trial
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task

MAX_ROUNDS = 8  # three or four are usual


@dataclass(frozen=True, kw_only=True)
class Mined:
    """A principle that the rows bear out. Its names are those of the scratch ledger."""

    version: PrincipleVersion
    evidence: Evidence


def mine(
    space: SearchSpace,
    task: Task,
    trials: Sequence[Trial],
    seed: int,
    beat: Callable[[], object],
) -> list[Mined]:
    """Returns the principles that the trials support, measured once. Deterministic.

    Looks at the same rows are one look, so an interval holds however many rounds there are.

    Args:
        space: of the trials.
        task: gives the metric and the name; asked for nothing.
        trials: given ones, in order of number; at most `ranking.MAX_TRIALS` count.
        seed: of the run.
        beat: called between rounds.
    """
    with Ledger.in_memory() as scratch:
        run = _scratch_run(scratch, space, task, seed)
        measured: dict[Key, Evidence] = {}
        for step in range(MAX_ROUNDS):
            beat()
            versions = scratch.principles.current(run.id)
            edits = propose_edits(_view(run, space, task, trials, versions, measured, step))
            for place, edit in enumerate(edits):
                scratch.principles.apply_edit(
                    run.id, task.name, space.name, step, AUTHOR, edit, ordinal=place
                )
            measured = _measured(scratch, run, space, task, trials)
            if not edits:
                break
        return [
            Mined(version=version, evidence=evidence)
            for version in scratch.principles.current(run.id)
            if (evidence := measured.get((version.principle, version.version))) is not None
            and evidence.standing == Standing.SUPPORTED
        ]


def measure_rules(
    space: SearchSpace, task: Task, trials: Sequence[Trial], edits: Sequence[Add], seed: int
) -> list[Mined]:
    """Returns principles that someone else thought of, measured once on the trials, in order.

    Whatever their standing. Arguments are those of `mine`.
    """
    with Ledger.in_memory() as scratch:
        run = _scratch_run(scratch, space, task, seed)
        versions = [
            scratch.principles.apply_edit(
                run.id, task.name, space.name, 0, AUTHOR, edit, ordinal=place
            )
            for place, edit in enumerate(edits)
        ]
        measured = _measured(scratch, run, space, task, trials) if edits else {}
        return [
            Mined(version=version, evidence=measured[version.principle, version.version])
            for version in versions
        ]


def _scratch_run(scratch: Ledger, space: SearchSpace, task: Task, seed: int) -> Run:
    return scratch.runs.create(
        space_ref="",
        space_id=space.id,
        space_name=space.name,
        task_ref="",
        task_id=task.id,
        task_name=task.name,
        seed=seed,
        budget=Budget(),
        settings={},
        sources={},
    )


def _measured(
    scratch: Ledger, run: Run, space: SearchSpace, task: Task, trials: Sequence[Trial]
) -> dict[Key, Evidence]:
    found = measure(
        run_id=run.id,
        space=space,
        metric=task.metric,
        trials=trials,
        versions=scratch.principles.current(run.id),
        previous={},
        proposed_ever=scratch.principles.proposed_ever(run.id),
    )
    return {(one.principle, one.version): one for one in found}


def _view(
    run: Run,
    space: SearchSpace,
    task: Task,
    trials: Sequence[Trial],
    versions: Sequence[PrincipleVersion],
    measured: Mapping[Key, Evidence],
    step: int,
) -> RunView:
    principles = [
        PrincipleView.of(version, measured.get((version.principle, version.version)))
        for version in versions
    ]
    return RunView(
        run_id=run.id,
        step=step,
        seed=run.seed,
        space=space,
        task=task,
        region=Region(space),
        trials=trials,
        principles=principles,
        cuts=(),
        decisions=(),
        calibrations=(),
        noise=None,
        budget=run.budget,
        spent=Spent(trials=0, wall_s=0.0, tokens=0, dollars=0.0),
        k=1,
        proxies=(),
    )
