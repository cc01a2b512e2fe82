"""Replays: a recorded run again, its model's stored replies in the model's place."""

from __future__ import annotations

import json
from pathlib import Path

from vitruvius.errors import ConfigError
from vitruvius.memory.ledger.ledger import FILE, Ledger
from vitruvius.memory.ledger.snapshot import RECORDING, repoint, rewind, write_recording
from vitruvius.memory.records import Run
from vitruvius.run.handle import SearchRun
from vitruvius.spaces.registry import absolute_ref, load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

FOLDER = "replays"


def create_replay(
    recorded: str,
    home: Path,
    *,
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
) -> SearchRun:
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
    _check_same(run, the_space, the_task)
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
    return SearchRun(run.id, folder, space=the_space, task=the_task)


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


def _check_same(run: Run, space: SearchSpace, task: Task) -> None:
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
