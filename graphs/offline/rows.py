"""Rows to learn from: those of a table, of a file, or the trials of an earlier run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.row_selection import answers_of, rows_of_table, rows_of_trials
from vitruvius.memory.records import GivenRow, Run, RunKind
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import absolute_ref, is_user_object, load_space
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import Tabular, TabularTask
from vitruvius.tasks.task import Task

RUN_ID = re.compile(r"\d{6}-[0-9a-f]{4}")
FILES = (".csv", ".parquet", ".tsv")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where rows come from: a table of a task, or an earlier run's trials."""

    space: SearchSpace
    task: Task
    run: Run | None = None


def with_metric(source: str, metric: str | None) -> str:
    """Returns the source with the metric folded in, as an option of a table or a file.

    Raises:
        ConfigError: it is a run, or names its metric already.
    """
    if metric is None:
        return source
    if RUN_ID.fullmatch(source):
        raise ConfigError(f"run {source} has one metric: leave --metric out")
    if is_user_object(source):
        raise ConfigError(f"{source} is a task of its own, only its name is needed: no --metric")
    if ",metric=" in source:
        raise ConfigError(f"--metric is given twice: {source!r} names it too")
    return f"{source},metric={metric}"


def find_origin(
    source: str | Task,
    space: str | SearchSpace | None,
    home: Path,
    fallback: SearchSpace | None = None,
) -> Origin:
    """Returns what a source names. A space that is given must be the right one."""
    given = load_space(absolute_ref(space)) if isinstance(space, str) else space
    if isinstance(source, str) and RUN_ID.fullmatch(source):
        return _run_origin(source, given, home)
    hint = given or (fallback.space if isinstance(fallback, Pool) else fallback)
    task = load_task(_table_ref(source), hint) if isinstance(source, str) else source
    if not isinstance(task, Tabular):
        raise ConfigError(
            f"task {task.name} trains its networks, so it has no rows to learn from; name a "
            "table, a file of rows, or a run that has searched it"
        )
    found = given or getattr(getattr(task, "table", None), "space", None) or hint
    if found is None:
        raise ConfigError(f"name the space of {task.name}'s rows with --space")
    if isinstance(task, TabularTask):
        task.check_space(found)
    return Origin(space=found, task=task)


def _run_origin(name: str, space: SearchSpace | None, home: Path) -> Origin:
    with ledger_of(home) as ledger:
        run = ledger.runs.get(name)
    if run.kind == RunKind.IMPORT:
        raise ConfigError(f"run {name} stands for an import: its trials did not come along")
    if not run.task_ref or not (run.space_ref or space):
        raise ConfigError(f"run {name} was given its task or space as an object, never stored")
    found = space or load_space(run.space_ref)
    if found.id != run.space_id:
        raise ConfigError(f"run {name} is on space {run.space_id}, not {found.id}")
    return Origin(space=found, task=load_task(run.task_ref, found), run=run)


def _table_ref(source: str) -> str:
    path = source.partition(",")[0]
    if path.lower().endswith(FILES) and ":" not in path:
        if not Path(path).expanduser().is_file():
            raise ConfigError(f"there is no file {path}")
        return f"table:{source}"
    return absolute_ref(source)


def answers_behind(origin: Origin) -> str | None:
    """Returns whose answers the rows are; None where an earlier run has paid for them."""
    if origin.run is None:
        return answers_of(origin.task)
    earlier = origin.run.settings.get("learn") or {}
    answers: str | None = earlier.get("answers")
    return answers


def last_trial(run: Run | None, home: Path) -> int | None:
    """Returns the last closed trial of a run, 0 where it has none; None for rows of a table."""
    if run is None:
        return None
    with Ledger.open(home) as ledger:
        return max((t.number for t in ledger.trials.of(run.id) if not t.status.is_open), default=0)


def rows_of(
    origin: Origin,
    home: Path,
    rows: int | None,
    best: int | None,
    seed: int,
    up_to: int | None,
) -> list[GivenRow]:
    """Returns the rows to learn from: those of a table, or a run's closed trials."""
    if origin.run is None:
        assert isinstance(origin.task, Tabular)
        return rows_of_table(origin.task, origin.space, rows=rows, best=best, seed=seed)
    with Ledger.open(home) as ledger:
        trials = [t for t in ledger.trials.of(origin.run.id) if up_to is None or t.number <= up_to]
    closed = [trial for trial in trials if not trial.status.is_open]
    return rows_of_trials(closed, origin.task.metric, rows=rows, best=best, seed=seed)


def ledger_of(home: Path) -> Ledger:
    """Returns the ledger of a home that has one."""
    if not (home / "ledger.db").exists():  # opening it would make one
        raise ConfigError(f"{home} has no ledger, so it has no run to learn from")
    return Ledger.open(home)
