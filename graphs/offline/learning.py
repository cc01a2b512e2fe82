"""Learning from rows: a run that trains nothing, and is done when its principles are written.

Everything in it follows from the rows and the seed, and every write can be repeated: a run that
was killed is learned again from its start, and ends as if it had not been.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vitruvius.agents.analyst.analyst import AUTHOR
from vitruvius.agents.analyst.audit_cuts import propose_cuts
from vitruvius.budget import Budget
from vitruvius.errors import ConfigError
from vitruvius.events import Event, EventKind, Listener
from vitruvius.graphs.offline.auditing import measure_cuts
from vitruvius.graphs.offline.mining_rows import Mined, mine
from vitruvius.graphs.offline.rows import (
    RUN_ID,
    Origin,
    answers_behind,
    find_origin,
    last_trial,
    ledger_of,
    rows_of,
)
from vitruvius.memory.edits import Add
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.row_selection import answers_of, taught
from vitruvius.memory.records import GivenRow, PrincipleVersion, Run, RunKind, RunStatus, Trial
from vitruvius.memory.transfer.source_hints import MEMORY, NONE
from vitruvius.settings import Settings
from vitruvius.spaces.registry import load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task
from vitruvius.tools.report import write_report


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run is to learn: of so many rows, or of the best of them, and under what name.

    `audit`: what an audit proposes, not all that can be said.
    """

    rows: int | None = None
    best: int | None = None
    name: str | None = None
    audit: bool = False

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigError: one is below 1.
        """
        for name in ("rows", "best"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ConfigError(f"{name} must be at least 1, got {count}")

    @property
    def data(self) -> dict[str, Any]:
        """As it is stored with the run. Runs of before audits have no word of them."""
        told = {"rows": self.rows, "best": self.best, "name": self.name}
        return told | ({"audit": True} if self.audit else {})


def learn_from(
    origin: Origin,
    settings: Settings,
    on_event: Listener,
    wanted: Wanted,
    *,
    again: bool = True,
) -> Run:
    """Learns, or finds the finished run that learned the same where it is not to be done again.

    Args:
        origin: of the rows.
        settings: home and seed.
        on_event: called with each event.
        wanted: which rows, and what of them.
        again: whether to learn once more where a run has.
    """
    up_to = last_trial(origin.run, settings.home)
    rows = rows_of(origin, settings.home, wanted.rows, wanted.best, settings.seed, up_to)
    learned = {**wanted.data, "answers": answers_behind(origin), "up_to": up_to}
    task_name = wanted.name or (origin.run.task_name if origin.run else origin.task.name)
    with Ledger.open(settings.home) as ledger:
        for run in ledger.runs.all() if not again else ():
            if _is_same(run, origin, learned, settings.seed):
                return run
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
    _learn(run, settings.home, origin, rows, on_event)
    return run


def _is_same(run: Run, origin: Origin, learned: dict[str, Any], seed: int) -> bool:
    return (
        run.kind == RunKind.LEARN
        and run.status == RunStatus.DONE
        and run.task_id == origin.task.id
        and run.space_id == origin.space.id
        and run.seed == seed
        and run.settings.get("learn") == learned
    )


def learn_on(run: Run, home: Path, on_event: Listener) -> None:
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
    _learn(run, home, origin, rows, on_event)


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
            with ledger_of(settings.home) as ledger:
                run = ledger.runs.get(name)
            learned = run.settings.get("learn") or {}
            if learned.get("answers") == answers_of(task):
                raise ConfigError(f"run {name} learned from {_itself(task)}")
            found.append(name)
            continue
        origin = find_origin(name, None, settings.home, fallback=space)
        if answers_of(origin.task) == answers_of(task):
            raise ConfigError(f"{name} is {_itself(task)}")
        learned_run = learn_from(origin, settings, on_event, Wanted(), again=False)
        found.append(learned_run.id)
    if NONE in found and len(found) > 1:
        raise ConfigError("principles from none, and from something else: name only one of them")
    return tuple(found)


def _itself(task: Task) -> str:
    return (
        f"the table that task {task.name} answers from: a search may know only the scores that it "
        "has paid for; learn from another metric, table or run"
    )


@dataclass(frozen=True, kw_only=True)
class _Lesson:
    """A run that learns, and what it learns from."""

    run: Run
    home: Path
    space: SearchSpace
    task: Task
    rows: Sequence[GivenRow]
    listener: Listener
    audits: bool = False  # writes the cuts that an audit proposes, not all that can be said


def _learn(
    run: Run, home: Path, origin: Origin, rows: Sequence[GivenRow], on_event: Listener
) -> None:
    """Gives the run its rows, mines and measures principles, writes them; then the run is done.

    Raises:
        RunHeld: another process is at it.
    """
    lesson = _Lesson(
        run=run,
        home=home,
        space=origin.space,
        task=origin.task,
        rows=rows,
        listener=on_event,
        audits=bool(run.settings["learn"].get("audit")),
    )
    run_id = run.id
    driver = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with Ledger.open(lesson.home) as ledger:
        ledger.runs.claim(run_id, driver)
        status = RunStatus.INTERRUPTED  # whatever goes wrong, the run can be learned again
        try:
            count = f"{len(lesson.rows):,} rows"
            _tell(lesson, EventKind.STARTED, f"run {run_id} learns from {count}")
            ledger.trials.give(run_id, lesson.rows)
            trials = taught(ledger.trials.of(run_id))
            written = _write(lesson, ledger, _mine(lesson, ledger, driver, trials))
            folder = lesson.home / "runs" / run_id
            write_report(ledger, run_id, lesson.space, lesson.task, folder, RunStatus.DONE)
            status = RunStatus.DONE
        finally:
            ledger.runs.release(run_id, driver, status)
    _tell(
        lesson,
        EventKind.LEARNED,
        f"run {run_id} learned {len(written)} principles from {count}",
        rows=len(lesson.rows),
        principles=[version.name for version in written],
    )


def _tell(lesson: _Lesson, kind: EventKind, text: str, **data: object) -> None:
    lesson.listener(Event(kind=kind, text=text, data={"run": lesson.run.id, **data}))


def _mine(lesson: _Lesson, ledger: Ledger, driver: str, trials: Sequence[Trial]) -> list[Mined]:
    if lesson.audits:
        cuts = propose_cuts(lesson.space, trials, lesson.task.metric)
        return measure_cuts(lesson.space, lesson.task, trials, cuts, lesson.run.seed)
    return mine(
        lesson.space,
        lesson.task,
        trials,
        lesson.run.seed,
        lambda: ledger.runs.beat(lesson.run.id, driver, 0.0),
    )


def _write(lesson: _Lesson, ledger: Ledger, found: Sequence[Mined]) -> list[PrincipleVersion]:
    """Writes principles with their evidence; what an earlier try has written stays as it is."""
    run_id, versions = lesson.run.id, []
    for place, one in enumerate(found):
        said = one.version
        edit = Add(statement=said.statement, rule=said.rule, rationale=said.rationale)
        version = ledger.principles.apply_edit(
            run_id, lesson.run.task_name, lesson.space.name, 0, AUTHOR, edit, ordinal=place
        )
        evidence = replace(
            one.evidence, run_id=run_id, principle=version.principle, version=version.version
        )
        ledger.evidence.add([evidence])
        versions.append(version)
        _tell(
            lesson,
            EventKind.PRINCIPLE,
            f"{version.name}: {version.statement} (effect {evidence.effect:+.2f}, "
            f"{evidence.low:+.2f} to {evidence.high:+.2f})",
            principle=version.name,
            standing=evidence.standing,
            effect=evidence.effect,
        )
    index = PrincipleIndex(lesson.home, ledger)
    index.add(versions)
    index.close()
    return versions
