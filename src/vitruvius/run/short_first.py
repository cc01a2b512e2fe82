"""Short trainings first: a run of its own at a cheaper fidelity, whose trials guide the full ones.

The search that it is for names it as its parent: it is driven first, is a source of the search as
any other run may be, and the search's account pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from vitruvius.budget import Budget
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.memory.transfer.source_hints import NONE
from vitruvius.settings import Settings
from vitruvius.spaces.registry import source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import shorter_task
from vitruvius.tasks.tables.references import recorded_part
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Task

SHORT_TRAININGS = 20  # 1.2 full ones on NAS-Bench-201
MOST_OF_BUDGET = 0.5  # of seconds, tokens and dollars


def create_short_run(
    ledger: Ledger,
    space: SearchSpace,
    task: Task,
    settings: Settings,
    budget: Budget,
    names: Sequence[str],
) -> Run:
    """Returns the pending run of the short trainings that the settings ask for.

    Args:
        ledger: where it is made.
        space: of the search.
        task: of the search.
        settings: of the search; `fidelity_first` says how short.
        budget: of the search. A limit on trials counts full trainings, and is not shared.
        names: what it recalls from.
    """
    assert settings.fidelity_first is not None
    short, space = shortened(task, space, settings.fidelity_first)
    return ledger.runs.create(
        space_ref=space.ref,
        space_id=space.id,
        space_name=space.name,
        task_ref=short.ref,
        task_id=short.id,
        task_name=short.name,
        seed=settings.seed,
        budget=_share(budget),
        # Without `fidelity_first`, or it would ask for short trainings of its own.
        settings=settings.public() | {"principles_from": list(names), "fidelity_first": None},
        sources=source_hash(space.ref) | source_hash(short.ref),
        metric=asdict(short.metric),
    )


def shortened(task: Task, space: SearchSpace, how: str) -> tuple[Task, SearchSpace]:
    """Returns the task of the short trainings and what of the space it can train.

    Raises:
        ConfigError: the task has no such trainings.
    """
    short = shorter_task(task, how)
    return short, recorded_part(short, space) if isinstance(short, TabularTask) else space


def told_of(names: Sequence[str], short: Run) -> list[str]:
    """Returns what the search recalls from: what was asked for, and its short trainings."""
    # Principles from none means no other run's: its own short trainings guide it all the same.
    return [*(name for name in names if name != NONE), short.id]


def driven(ledger: Ledger, run: Run) -> Run:
    """Returns the run that a process drives now: its short trainings, while they are under way."""
    if run.kind != RunKind.SEARCH or run.parent is None:
        return run
    short = ledger.runs.get(run.parent)
    return short if short.status == RunStatus.RUNNING else run


def _share(budget: Budget) -> Budget:
    def part(limit: float | None) -> float | None:
        return None if limit is None else MOST_OF_BUDGET * limit

    return Budget(
        trials=SHORT_TRAININGS,
        wall_s=part(budget.wall_s),
        train_s=part(budget.train_s),
        tokens=None if budget.tokens is None else int(MOST_OF_BUDGET * budget.tokens),
        dollars=part(budget.dollars),
    )
