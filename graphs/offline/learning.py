"""Learning from rows: a run that trains nothing, and is done when its principles are written.

Everything in it follows from the rows and the seed, and every write can be repeated: a run that
was killed is learned again from its start, and ends as if it had not been.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vitruvius.agents.analyst.analyst import AUTHOR
from vitruvius.agents.analyst.audit_cuts import propose_cuts
from vitruvius.events import Event, EventKind, Listener
from vitruvius.graphs.offline.auditing import measure_cuts
from vitruvius.graphs.offline.mining_rows import Mined, mine
from vitruvius.memory.edits import Add
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.row_selection import taught
from vitruvius.memory.records import GivenRow, PrincipleVersion, Run, RunStatus, Trial
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.report import write_report


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A run that learns, and what it learns from."""

    run: Run
    home: Path
    space: SearchSpace
    task: Task
    rows: Sequence[GivenRow]
    listener: Listener
    audits: bool = False  # writes the cuts that an audit proposes, not all that can be said


def learn_from_rows(lesson: Lesson) -> None:
    """Gives the run its rows, mines and measures principles, writes them; then the run is done.

    Raises:
        RunHeld: another process is at it.
    """
    run_id = lesson.run.id
    driver = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with Ledger.open(lesson.home) as ledger:
        ledger.runs.claim(run_id, driver)
        status = RunStatus.INTERRUPTED
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


def _tell(lesson: Lesson, kind: EventKind, text: str, **data: object) -> None:
    lesson.listener(Event(kind=kind, text=text, data={"run": lesson.run.id, **data}))


def _mine(lesson: Lesson, ledger: Ledger, driver: str, trials: Sequence[Trial]) -> list[Mined]:
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


def _write(lesson: Lesson, ledger: Ledger, found: Sequence[Mined]) -> list[PrincipleVersion]:
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
