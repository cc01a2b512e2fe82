"""Replays: a recorded run again, its model's stored replies in the model's place.

A home is a replay where a recording of the run lies beside its ledger.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from vitruvius.agents.model.replayed_client import ReplayDiverged
from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import FILE, Ledger
from vitruvius.memory.ledger.snapshot import RECORDING, repoint, rewind, write_recording
from vitruvius.memory.records import DecisionStatus, ModelCall, Origin, Run, RunStatus
from vitruvius.spaces.registry import absolute_ref, load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

FOLDER = "replays"
CONFIRMATION = "confirmation"
CUT_OFF = "cut_off"  # the mark of a trial that was still trained when the time was over


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A run that waits to be replayed, in a home of its own."""

    run_id: str
    home: Path
    space: SearchSpace
    task: Task


def create_replay(
    recorded: str,
    home: Path,
    *,
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
) -> Replay:
    """Returns a run that waits to be replayed, in a home of its own under `replays/`.

    It has the memory with which the recorded run began, its settings, budget and seed. A table is
    asked again; networks that were trained in this home are not trained again.

    Args:
        recorded: a run of the home, or the path of a file that `export_recording` wrote.
        home: where the replay is kept.
        task: where the task lies here, if not where it lay then.
        space: as `task`.

    Raises:
        ConfigError: there is no such run or recording, or task or space are not the same.
    """
    source, run = _source(recorded, home)
    if run.forked_from is not None:
        raise ConfigError(
            f"run {run.id} is a fork of {run.forked_from}: what it shares was done there, so a "
            "replay of it alone cannot begin; replay that one"
        )
    folder = _free(home / FOLDER, run.id)
    the_space = load_space(absolute_ref(space)) if isinstance(space, str) else space
    if the_space is None:
        the_space = load_space(_given("space", run.space_ref))
    the_task = load_task(absolute_ref(task), the_space) if isinstance(task, str) else task
    if the_task is None:
        the_task = load_task(_given("task", run.task_ref), the_space)
    _check_same_objects(run, the_space, the_task)
    folder.mkdir(parents=True)
    write_recording(source, run.id, folder / RECORDING)
    is_here = source == home / FILE
    reuse = is_here and not hasattr(the_task, "lookup")
    rewind(folder / RECORDING, run.id, folder / FILE, reuse=reuse)
    digests = _moved(run, source_hash(the_space.ref) | source_hash(the_task.ref))
    repoint(
        folder / FILE,
        run.id,
        task_ref=the_task.ref,
        space_ref=the_space.ref,
        sources=json.dumps(digests),
    )
    return Replay(run_id=run.id, home=folder, space=the_space, task=the_task)


def export_recording(run_id: str, home: Path, file: Path) -> None:
    """Writes what anyone needs to replay a run: one file, a ledger without what came later.

    It holds the prompts, the replies, and the principles of the runs before, but no key.

    Raises:
        ConfigError: there is no such run, or the file cannot be written.
    """
    _source(run_id, home)
    write_recording(home / FILE, run_id, file)


def _source(recorded: str, home: Path) -> tuple[Path, Run]:
    """Returns the ledger that holds the recorded run, and the run."""
    file = Path(recorded)
    if file.is_file():
        with Ledger.open(file.parent, file=file.name) as ledger:
            runs = ledger.runs.all()
        if not runs:
            raise ConfigError(f"{file} holds no run")
        return file, max(runs, key=lambda run: run.created)
    if not (home / FILE).exists():
        raise ConfigError(
            f"there is nothing to replay: {recorded!r} is no file, and {home} has no ledger"
        )
    with Ledger.open(home) as ledger:
        return home / FILE, ledger.runs.get(recorded)


def _free(folder: Path, run_id: str) -> Path:
    number = 1
    while (path := folder / f"{run_id}-{number}").exists():
        number += 1
    return path


def _given(what: str, ref: str) -> str:
    if not ref:
        raise ConfigError(
            f"the recorded run searched a {what} given as an object, which is never stored; give "
            f"it again: search(replay=..., {what}=...)"
        )
    return ref


def _check_same_objects(run: Run, space: SearchSpace, task: Task) -> None:
    for what, recorded, here in (
        ("space", run.space_id, space.id),
        ("task", run.task_id, task.id),
    ):
        if recorded != here:
            raise ConfigError(
                f"run {run.id} was recorded on {what} {recorded}, and {here} was found: its "
                f"replies would answer other questions; give the same {what} with --{what}"
            )


def _moved(run: Run, here: dict[str, str]) -> dict[str, str]:
    """Returns the recorded digests under the paths of here; a changed file keeps the old one."""
    names = {Path(path).name: path for path in here}
    return {names.get(Path(path).name, path): digest for path, digest in run.sources.items()}


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a recorded run did. The last three are set where wall time decided them."""

    calls: Sequence[ModelCall]
    search_steps: int | None  # decisions, the confirmation left out
    confirmations: int | None  # trainings of the finalists
    cut_off: frozenset[int] = field(default_factory=frozenset)  # trials that the end of time ended


def recorded_run(home: Path, run_id: str) -> Recorded | None:
    """Returns what was recorded of this run; None where the home is no replay of it."""
    if not (home / RECORDING).exists():
        return None
    with Ledger.open(home, file=RECORDING) as ledger:
        run = ledger.runs.get(run_id)
        decisions = ledger.steps.decisions(run_id)
        trials = ledger.trials.of(run_id)
        calls = ledger.steps.calls(run_id)
        cut_off = frozenset(mark.step for mark in ledger.steps.marks(run_id, CUT_OFF))
    done = [d for d in decisions if d.status == DecisionStatus.CARRIED_OUT]
    is_timed = run.budget.wall_s is not None
    return Recorded(
        calls=[call for call in calls if call.chair != "chat"],
        search_steps=sum(d.author != CONFIRMATION for d in done) if is_timed else None,
        confirmations=sum(t.origin == Origin.CONFIRM for t in trials) if is_timed else None,
        cut_off=cut_off,
    )


def check_same(home: Path, ledger: Ledger, run_id: str) -> None:
    """Checks that a replay did what was recorded; nothing where the home is no replay.

    Raises:
        ReplayDiverged: names the first trial, principle, cut or decision that differs.
    """
    if not (home / RECORDING).exists():
        return
    with Ledger.open(home, file=RECORDING) as recording:
        if recording.runs.get(run_id).status != RunStatus.DONE:
            return  # it went on where the recorded run was stopped
        then, now = _facts(recording, run_id), _facts(ledger, run_id)
    for kind, rows in then.items():
        for place, (old, new) in enumerate(zip_longest(rows, now[kind]), start=1):
            if old != new:
                raise ReplayDiverged(
                    f"the replay is not what was recorded: {kind} {place} was {old or 'none'} and "
                    f"is {new or 'none'} here"
                )


def _facts(ledger: Ledger, run_id: str) -> dict[str, list[str]]:
    """Returns what a run did, in lines that two equal runs share."""
    return {
        "trial": [
            f"{t.architecture} ({t.origin.value}, seed {t.seed}): {t.status.value} {t.value}"
            for t in ledger.trials.of(run_id)
        ],
        "principle": [
            f"{v.name} {v.edit} by {v.author}: {v.statement!r} {v.rule.key}"
            for v in ledger.principles.newest(run_id)
        ],
        "cut": [
            f"{c.rule.key} by {c.principle}, steps {c.made_step} to {c.undone_step}"
            for c in ledger.cuts.of(run_id)
        ],
        "decision": [
            f"step {d.step} by {d.author}: {d.status.value} {d.written}"
            for d in ledger.steps.decisions(run_id)
        ],
    }
