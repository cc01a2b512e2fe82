"""Audits from Python: what a sample of proxies or of trained architectures says of a space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.events import Listener
from vitruvius.graphs.offline.auditing import FEWEST, Audit, Explained, audit_trials, explain_trials
from vitruvius.memory.audit.size import size_of
from vitruvius.memory.audit.spread import spreads
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.model.row_selection import as_trials, taught
from vitruvius.memory.records import GivenRow, ResultStatus, Score
from vitruvius.run.handle import SearchRun, ignore
from vitruvius.run.learning import find_origin, learn_from, rows_of
from vitruvius.settings import Settings, load_settings
from vitruvius.spaces.registry import absolute_ref, load_space
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric, Task

DRAWS = 100  # scored by proxies where nothing else is said
TRIES = 20  # draws per different architecture wanted
CHEAP = ("params", "flops")  # exact, and in no need of data


def audit(
    space: str | SearchSpace,
    *,
    task: str | Task | None = None,
    source: str | Task | None = None,
    draws: int | None = None,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    home: Path | str | None = None,
) -> Audit:
    """Returns what decides in a space, what is dead in it, and what may be cut. Nothing is trained.

    Args:
        space: a name with options, a user's `file.py:object`, or a space.
        task: whose networks are built and scored by proxies, untrained.
        source: of labels: `table:PATH,metric=...`, the path of a file of rows, the id of a run, or
            a task that answers from a table. With neither, the form of the space is all there is.
        draws: so many architectures: of a source drawn at random by the seed, left out all; for
            proxies drawn by the space's sampler, left out 100.
        proxies: their names; left out, parameters and FLOPs.
        seed: of draws, initial weights and batch.
        home: of the ledger, where the source is a run.

    Raises:
        ConfigError: a reference or number that cannot be used.
        ToolError: an unknown proxy.
    """
    if task is not None and source is not None:
        raise ConfigError("an audit is of a task's proxies or of a source's labels: name only one")
    if proxies is not None and task is None:
        raise ConfigError("proxies need a task, whose networks are built: name one")
    if draws is not None and draws < FEWEST:
        raise ConfigError(f"an audit needs at least {FEWEST} architectures, got {draws}")
    settings = load_settings({"home": home, "seed": seed})
    if source is not None:
        return _by_labels(space, source, draws, settings)
    the_space = load_space(absolute_ref(space)) if isinstance(space, str) else space
    scores: list[Explained] = []
    about = "nothing: the form of the space alone"
    if task is not None:
        the_task = load_task(absolute_ref(task), the_space) if isinstance(task, str) else task
        about = f"proxies of {draws or DRAWS} draws, untrained, for {the_task.name}"
        scores = _by_proxies(the_space, the_task, draws or DRAWS, proxies, seed)
    return Audit(
        space=the_space,
        source=about,
        size=size_of(the_space),
        spreads=spreads(the_space),
        scores=scores,
    )


def keep(
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
    told = {"rows": draws, "best": None, "name": name, "audit": True}
    return learn_from(find_origin(source, space, settings.home), settings, on_event, told)


def _by_labels(
    space: str | SearchSpace, source: str | Task, draws: int | None, settings: Settings
) -> Audit:
    origin = find_origin(source, space, settings.home)
    if origin.run is not None:
        with Ledger.open(settings.home) as ledger:
            trials = [t for t in ledger.trials.of(origin.run.id) if not t.status.is_open]
        about = f"{len(trials)} trials of run {origin.run.id} on {origin.run.task_name}"
        if draws is None:
            return audit_trials(origin.space, origin.task, trials, source=about, seed=settings.seed)
    rows = rows_of(origin, settings.home, draws, None, settings.seed, None)
    if len(rows) < FEWEST:
        raise ConfigError(f"an audit needs at least {FEWEST} labels, {source} has {len(rows)}")
    trials = taught(as_trials(rows))
    where = f"run {origin.run.id}" if origin.run is not None else origin.task.name
    how = f", drawn at random with seed {settings.seed}" if draws is not None else ""
    about = f"{len(rows):,} labelled architectures of {where}{how}"
    return audit_trials(origin.space, origin.task, trials, source=about, seed=settings.seed)


def _by_proxies(
    space: SearchSpace, task: Task, draws: int, names: Sequence[str] | None, seed: int
) -> list[Explained]:
    from vitruvius.tools.passes.scoring import score
    from vitruvius.tools.proxies import proxies_for

    known = proxies_for(space, task)
    if not known:
        raise ConfigError(
            f"no proxy can be computed for space {space.name} and task {task.name}; "
            "audit the space alone, or by labels"
        )
    chosen = tuple(names or (name for name in CHEAP if name in known)) or known[:1]
    scores = score(space, task, _drawn(space, draws, seed), chosen, seed)
    found = []
    for name in chosen:
        trials = as_trials(_scored([one for one in scores if one.proxy == name]))
        explained = explain_trials(space, name, trials, Metric(name=name, direction="max", unit=""))
        found += [] if explained is None else [explained]
    return found


def _drawn(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """Returns different draws of the sampler, fewer in a space that has not so many."""
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    for _ in range(TRIES * count):
        found[space.sample(rng)] = None
        if len(found) == count:
            break
    return list(found)


def _scored(scores: Sequence[Score]) -> list[GivenRow]:
    """Returns scores as rows; a degenerate one ranks worst."""
    return [
        GivenRow(
            architecture=one.architecture,
            fidelity="untrained",
            seed=0,
            status=ResultStatus.DONE if one.value is not None else ResultStatus.DIVERGED,
            value=one.value,
            propensity=1.0,
        )
        for one in scores
    ]
