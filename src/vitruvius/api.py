"""Searches from Python: start one, open one, look at what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitruvius.budget import Budget, check_bounded, has_end, parse_budget
from vitruvius.errors import ConfigError
from vitruvius.events import Ask, Event, EventKind, Listener, ignore
from vitruvius.graphs.drive.estimating import (
    ESTIMATED,
    Estimate,
    estimate_before,
    estimate_event,
    shortfalls,
)
from vitruvius.graphs.drive.replay import create_replay
from vitruvius.graphs.offline.learning import Wanted, learn_from, resolve_sources
from vitruvius.graphs.offline.rows import find_origin
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.halving import check_has_rungs
from vitruvius.run.handle import SearchRun
from vitruvius.run.listing import RunList
from vitruvius.run.short_first import create_short_run, shortened, told_of
from vitruvius.settings import OF_THE_PROCESS, Settings, load_settings
from vitruvius.spaces.built_in import DEFAULT as DEFAULT_SPACE
from vitruvius.spaces.registry import absolute_ref, load_space, source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.built_in import DEFAULT as DEFAULT_TASK
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.references import recorded_part
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Task
from vitruvius.tools.tensorboard import check_tracker
from vitruvius.tools.training.evaluator import check_can_evaluate

LEARNS_BY = ("home", "seed")  # the settings that learning reads


def search(
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
    budget: str | Budget | None = None,
    *,
    replay: str | None = None,
    on_event: Listener = ignore,
    ask: Ask | None = None,
    background: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> SearchRun:
    """Searches and returns the run when it is done; works in scripts and in notebooks.

    Args:
        task: a name with options (`mnist1d`, `table:nas_bench_201.parquet,metric=c10`), a user's
            `file.py:object`, or a task; by default `mnist1d`.
        space: a name with options (`nb201:channels=16`), a user's `file.py:object`, or a space; by
            default `nb201`.
        budget: limits such as `"60 trials, 8h, 2M tokens, $5"`.
        replay: a run to do again with its model's stored replies in the model's place, or a file
            that `export_recording` wrote; all but `home` is as recorded then, and `task` and
            `space` may say where the same ones lie here.
        on_event: called from another thread with each event.
        ask: called with each costly decision before it is carried out; returns
            `{"approved": True}` or `{"approved": False, "reason": ...}`.
        background: return at once and search in a thread of this process; `run.wait()` waits for
            it, `run.stop()` stops it.
        progress: whether to show how it goes; None: in a notebook, unless `on_event` is given.
        settings: any setting by name: home, model, seed, workers, explore, control,
            fidelity_first, halving, principles_from, ...

    Raises:
        ConfigError: a reference, setting or budget that cannot be used; nothing was started.
        ReplayDiverged: the replay does not do what was recorded; the sentence says where.
        VitruviusError: the run could not go on; `open(id).resume()` takes it up.
    """
    # Made here, not in the thread: a mistake in the arguments is raised where they were given.
    run = create(task, space, budget, replay=replay, on_event=on_event, **settings)
    if background:
        return run.start_here(on_event=on_event, ask=ask, progress=progress)
    run.resume(on_event=on_event, ask=ask, progress=progress)
    return run


async def asearch(
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
    budget: str | Budget | None = None,
    *,
    replay: str | None = None,
    on_event: Listener = ignore,
    ask: Ask | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> SearchRun:
    """Does what `search` does, awaited. Cancelling it stops the run, which can be resumed."""
    run = await asyncio.to_thread(  # it reads files and tables: never on the caller's loop
        create, task, space, budget, replay=replay, on_event=on_event, **settings
    )
    await run.aresume(on_event=on_event, ask=ask, progress=progress)
    return run


def open(run_id: str, *, home: Path | str | None = None) -> SearchRun:
    """Returns a run of the ledger, whatever its state.

    Raises:
        ConfigError: there is no such run; the sentence names the nearest.
    """
    folder = load_settings({"home": home}).home
    if not (folder / "ledger.db").exists():  # opening it would make one
        raise ConfigError(f"there is no run {run_id!r}: {folder} has no ledger")
    with Ledger.open(folder) as ledger:
        ledger.runs.get(run_id)
    return SearchRun(run_id, folder)


def runs(home: Path | str | None = None) -> RunList:
    """Returns the runs of a home, the latest first; none where it has no ledger yet.

    The list shows a line for each run: its id, task, status and best value so far.
    """
    return RunList(load_settings({"home": home}).home)


def create(
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
    budget: str | Budget | None = None,
    *,
    replay: str | None = None,
    on_event: Listener = ignore,
    **settings: Any,
) -> SearchRun:
    """Returns a new run that waits in the ledger; `resume` starts it.

    Tables and files that it is to know principles from are learned from first.
    """
    if replay is not None:
        return _replay(replay, task, space, {"budget": budget} | settings)
    the_task, the_space, limits, resolved = _resolved(task, space, budget, settings)
    check_can_evaluate(the_task, the_space)
    if resolved.fidelity_first is not None:
        shortened(the_task, the_space, resolved.fidelity_first)  # before anything is written
    if resolved.halving:
        check_has_rungs(the_task)
    _check_budget(resolved, limits)
    names = list(resolve_sources(resolved.principles_from, the_task, the_space, resolved, on_event))
    with Ledger.open(resolved.home) as ledger:
        found = estimate_before(ledger, the_task, the_space, resolved, limits)
        short = None
        if resolved.fidelity_first is not None:
            short = create_short_run(ledger, the_space, the_task, resolved, limits, names)
            names = told_of(names, short)
        run = ledger.runs.create(
            space_ref=the_space.ref,
            space_id=the_space.id,
            space_name=the_space.name,
            task_ref=the_task.ref,
            task_id=the_task.id,
            task_name=the_task.name,
            seed=resolved.seed,
            budget=limits,
            settings=resolved.public() | {"principles_from": names},
            sources=source_hash(the_space.ref) | source_hash(the_task.ref),
            parent=short.id if short else None,
            metric=asdict(the_task.metric),
        )
        # On record: what was promised can be held against what it took.
        ledger.steps.mark(run.id, ESTIMATED, 0, found.data)
    on_event(estimate_event(found))
    every, is_noisy = resolved.reflect_every, the_task.is_noisy
    for sentence in shortfalls(found, limits, reflect_every=every, is_noisy=is_noisy):
        on_event(Event(kind=EventKind.WARNING, text=sentence))
    own = {n: settings[n] for n in OF_THE_PROCESS if settings.get(n) is not None}
    return SearchRun(run.id, resolved.home, space=the_space, task=the_task, own=own)


def estimate(
    task: str | Task | None = None,
    space: str | SearchSpace | None = None,
    budget: str | Budget | None = None,
    **settings: Any,
) -> Estimate:
    """Returns what a search with these arguments would take, from earlier runs; starts nothing.

    Raises:
        ConfigError: a reference, setting or budget that cannot be used.
    """
    the_task, the_space, limits, resolved = _resolved(task, space, budget, settings)
    _check_budget(resolved, limits)
    if not (resolved.home / "ledger.db").exists():  # opening it would make one
        return estimate_before(None, the_task, the_space, resolved, limits)
    with Ledger.open(resolved.home) as ledger:
        return estimate_before(ledger, the_task, the_space, resolved, limits)


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
        if setting not in LEARNS_BY:
            raise ConfigError(f"learning has no setting {setting!r}; it has home and seed")
    resolved = load_settings(settings)
    origin = find_origin(source, space, resolved.home)
    run = learn_from(origin, resolved, on_event, Wanted(rows=rows, best=best, name=name))
    return SearchRun(run.id, resolved.home, space=origin.space, task=origin.task)


def keep_cuts(
    space: str | SearchSpace,
    source: str | Task,
    *,
    draws: int | None = None,
    name: str | None = None,
    seed: int = 0,
    home: Path | str | None = None,
    on_event: Listener = ignore,
) -> SearchRun:
    """Writes the cuts that an audit proposes as principles; returns a finished run.

    Later searches recall them as those of any run, and measure them on their own trials.

    Args:
        space: as in `audit`.
        source: as in `audit`.
        draws: as in `audit`.
        name: of the task in listings; left out, the source's own.
        seed: as in `audit`.
        home: of the ledger.
        on_event: called with each event.

    Raises:
        ConfigError: a reference or number that cannot be used; nothing was written.
    """
    settings = load_settings({"home": home, "seed": seed})
    origin = find_origin(source, space, settings.home)
    run = learn_from(origin, settings, on_event, Wanted(rows=draws, name=name, audit=True))
    return SearchRun(run.id, settings.home, space=origin.space, task=origin.task)


def _resolved(
    task: str | Task | None,
    space: str | SearchSpace | None,
    budget: str | Budget | None,
    settings: Mapping[str, Any],
) -> tuple[Task, SearchSpace, Budget, Settings]:
    """Returns the objects that a caller's names and texts stand for."""
    task = DEFAULT_TASK if task is None else task
    space = DEFAULT_SPACE if space is None else space
    if not isinstance(budget, str | Budget | None):
        raise ConfigError(f"expected a budget such as '60 trials, 8h', got {budget!r}")
    text = budget if isinstance(budget, str) else None
    resolved = load_settings({**settings, "budget": text})
    check_tracker(resolved.tensorboard)
    limits = budget if isinstance(budget, Budget) else parse_budget(resolved.budget)
    the_space = load_space(absolute_ref(space)) if isinstance(space, str) else space
    the_task = load_task(absolute_ref(task), the_space) if isinstance(task, str) else task
    if isinstance(the_task, TabularTask):  # a table with gaps has no answer to the rest
        the_space = recorded_part(the_task, the_space)
    return the_task, the_space, limits, resolved


def _replay(
    recorded: str,
    task: str | Task | None,
    space: str | SearchSpace | None,
    settings: Mapping[str, Any],
) -> SearchRun:
    given = [name for name, value in settings.items() if value is not None and name != "home"]
    if given:
        raise ConfigError(
            f"a replay has the settings of the recorded run; leave out {', '.join(given)}"
        )
    home = load_settings({"home": settings.get("home")}).home
    replay = create_replay(recorded, home, task=task, space=space)
    return SearchRun(replay.run_id, replay.home, space=replay.space, task=replay.task)


def _check_budget(settings: Settings, budget: Budget) -> None:
    """Checks that the model can be had, the budget can run out, and dollars can be counted."""
    from vitruvius.agents.model.resolving import resolve_model
    from vitruvius.agents.model.tokens import price_of

    if settings.model == "auto" and has_end(budget) and budget.dollars is None:
        check_bounded(budget, spends_tokens=True)
        return  # whichever it is will do: its driver asks the endpoint
    resolved = resolve_model(settings)
    model = resolved.model
    check_bounded(budget, spends_tokens=model is not None)
    if budget.dollars is None or model is None or resolved.file is not None:
        return
    if price_of(model, settings.home) is None:
        raise ConfigError(
            f"the budget limits dollars, but the price of model {model!r} is unknown; "
            f"add it to {settings.home / 'prices.toml'} or drop the limit"
        )
