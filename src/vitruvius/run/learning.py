"""Learning from what others evaluated: a table, a file of rows, or an earlier run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vitruvius.budget import Budget
from vitruvius.errors import ConfigError
from vitruvius.events import Listener
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.row_selection import answers_of, rows_of_table, rows_of_trials
from vitruvius.memory.records import GivenRow, Run, RunKind, RunStatus
from vitruvius.memory.transfer.sources import MEMORY, NONE
from vitruvius.run.handle import SearchRun, ignore
from vitruvius.settings import Settings, load_settings
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import absolute_ref, is_user_object, load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import Tabular, TabularTask
from vitruvius.tasks.task import Task

RUN_ID = re.compile(r"\d{6}-[0-9a-f]{4}")
FILES = (".csv", ".parquet", ".tsv")
_SETTINGS = ("home", "seed")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where rows come from: a table of a task, or an earlier run's trials."""

    space: SearchSpace
    task: Task
    run: Run | None = None


def learn(
    source: str | Task,
    space: str | SearchSpace | None = None,
    *,
    rows: int | None = None,
    best: int | None = None,
    name: str | None = None,
    on_event: Listener = ignore,
    **settings: Any,
) -> SearchRun:
    """Learns principles from evaluated architectures; returns a finished run of the ledger.

    Nothing is trained. Later searches recall its principles, and its rows guide their model.

    Args:
        source: `table:PATH,metric=...`, the path of a file of rows, the id of an earlier run, or
            a task that answers from a table.
        space: of the architectures; left out, the table or the run says.
        rows: so many rows, drawn at random by the seed; left out, all.
        best: of these, only so many of the best: for results of which the rest is lost.
        name: of the task in listings and reports; left out, the table's or run's own. A search on
            a task of this name trusts it fully.
        on_event: called with each event.
        settings: home and seed.

    Raises:
        ConfigError: there is nothing to learn from; nothing was written.
    """
    for setting in settings:
        if setting not in _SETTINGS:
            raise ConfigError(f"learning has no setting {setting!r}; it has home and seed")
    resolved = load_settings(settings)
    origin = find_origin(source, space, resolved.home)
    return learn_from(origin, resolved, on_event, {"rows": rows, "best": best, "name": name})


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


def learn_on(run: Run, home: Path, on_event: Listener = ignore) -> None:
    """Brings a run that was killed while it learned to its end."""
    if run.status == RunStatus.DONE:
        raise ConfigError(
            f"run {run.id} is done and learns only once; search with what it knows: "
            f"`vitruvius run --principles-from {run.id}`"
        )
    told = dict(run.settings["learn"])
    if not run.task_ref or not run.space_ref:
        raise ConfigError(
            f"run {run.id} learned from an object, which is never stored: learn from it again"
        )
    if (source_hash(run.space_ref) | source_hash(run.task_ref)) != dict(run.sources):
        raise ConfigError(f"a file that run {run.id} learns from has changed: learn from it again")
    with Ledger.open(home) as ledger:
        parent = ledger.runs.get(run.parent) if run.parent else None
    space = load_space(run.space_ref)
    task = load_task(run.task_ref, space)
    origin = Origin(space=space, task=task, run=parent)
    rows = rows_of(origin, home, told["rows"], told["best"], run.seed, told.get("up_to"))
    _write(run, home, origin, rows, on_event)


def resolve_sources(
    names: Iterable[str],
    task: Task,
    space: SearchSpace,
    settings: Settings,
    on_event: Listener,
) -> tuple[str, ...]:
    """Returns what to recall from as ids of runs; learns from tables and files first.

    Raises:
        ConfigError: a name that is no run, table or file, or the task's own table.
    """
    found = []
    for name in dict.fromkeys(names):
        if name in (MEMORY, NONE):
            found.append(name)
            continue
        if RUN_ID.fullmatch(name):
            with _ledger(settings.home) as ledger:
                run = ledger.runs.get(name)
            learned = run.settings.get("learn") or {}
            if learned.get("answers") == answers_of(task):
                raise ConfigError(f"run {name} learned from {_itself(task)}")
            found.append(name)
            continue
        origin = find_origin(name, None, settings.home, fallback=space)
        if answers_of(origin.task) == answers_of(task):
            raise ConfigError(f"{name} is {_itself(task)}")
        learned_run = learn_from(
            origin, settings, on_event, {"rows": None, "best": None, "name": None}, again=False
        )
        found.append(learned_run.id)
    if NONE in found and len(found) > 1:
        raise ConfigError("principles from none, and from something else: name only one of them")
    return tuple(found)


def _itself(task: Task) -> str:
    return (
        f"the table that task {task.name} answers from: a search may know only the scores that it "
        "has paid for; learn from another metric, table or run"
    )


def _ledger(home: Path) -> Ledger:
    if not (home / "ledger.db").exists():  # opening it would make one
        raise ConfigError(f"{home} has no ledger, so it has no run to learn from")
    return Ledger.open(home)


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
    with _ledger(home) as ledger:
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


def learn_from(
    origin: Origin,
    settings: Settings,
    on_event: Listener,
    told: dict[str, Any],
    *,
    again: bool = True,
) -> SearchRun:
    """Learns, or finds the finished run that learned the same where it is not to be done again.

    Args:
        origin: of the rows.
        settings: home and seed.
        on_event: called with each event.
        told: rows, best and name, as in `learn`; with audit set, what an audit proposes is learned.
        again: whether to learn once more where a run has.
    """
    for name in ("rows", "best"):
        if told[name] is not None and told[name] < 1:
            raise ConfigError(f"{name} must be at least 1, got {told[name]}")
    up_to = _last_trial(origin.run, settings.home)
    rows = rows_of(origin, settings.home, told["rows"], told["best"], settings.seed, up_to)
    learned = {**told, "answers": _answers(origin), "up_to": up_to}
    task_name = told["name"] or (origin.run.task_name if origin.run else origin.task.name)
    with Ledger.open(settings.home) as ledger:
        for run in ledger.runs.all() if not again else ():
            if _is_same(run, origin, learned, settings.seed):
                return SearchRun(run.id, settings.home, space=origin.space, task=origin.task)
        run = ledger.runs.create(
            space_ref=origin.space.ref,
            space_id=origin.space.id,
            space_name=origin.space.name,
            task_ref=origin.task.ref,
            task_id=origin.task.id,
            task_name=task_name,
            seed=settings.seed,
            budget=Budget(),
            settings={"model": "analyst", "seed": settings.seed, "learn": learned},
            sources=source_hash(origin.space.ref) | source_hash(origin.task.ref),
            parent=origin.run.id if origin.run else None,
            kind=RunKind.LEARN,
            metric=asdict(origin.task.metric),
        )
    _write(run, settings.home, origin, rows, on_event)
    return SearchRun(run.id, settings.home, space=origin.space, task=origin.task)


def _is_same(run: Run, origin: Origin, learned: dict[str, Any], seed: int) -> bool:
    return (
        run.kind == RunKind.LEARN
        and run.status == RunStatus.DONE
        and run.task_id == origin.task.id
        and run.space_id == origin.space.id
        and run.seed == seed
        and run.settings.get("learn") == learned
    )


def _answers(origin: Origin) -> str | None:
    """Returns whose answers the rows are; None where an earlier run has paid for them."""
    if origin.run is None:
        return answers_of(origin.task)
    earlier = origin.run.settings.get("learn") or {}
    answers: str | None = earlier.get("answers")
    return answers


def _last_trial(run: Run | None, home: Path) -> int | None:
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


def _write(run: Run, home: Path, origin: Origin, rows: list[GivenRow], on_event: Listener) -> None:
    from vitruvius.graphs.offline.learning import Lesson, learn_from_rows

    learn_from_rows(
        Lesson(
            run=run,
            home=home,
            space=origin.space,
            task=origin.task,
            rows=rows,
            listener=on_event,
            audits=bool(run.settings["learn"].get("audit")),
        )
    )
