"""Which rows a run learns from, and which of them condition its statistics.

Statistics take at most `ranking.MAX_TRIALS` trials. Of more rows, that many come first: a random
sample, drawn as the space's own sampler draws, then the best of the rest. The order is decided by
the seed alone, and trials are numbered in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.model.ranking import MAX_TRIALS, N_BEST, quality
from vitruvius.memory.records import GivenRow, Origin, ResultStatus, Trial
from vitruvius.spaces.space import Architecture, SearchSpace, distinct
from vitruvius.tasks.tables.table import Tabular, broken_limit
from vitruvius.tasks.task import Metric, Task

N_RANDOM = MAX_TRIALS - N_BEST
MISSES = 0.1  # share of the sampler's draws that may lack a row, and the sample still be random
TRIES = 20  # draws per row wanted


def rows_of_table(
    task: Tabular, space: SearchSpace, *, rows: int | None, best: int | None, seed: int
) -> list[GivenRow]:
    """Returns the rows of a table, ordered as the module says, less those that break a limit.

    Args:
        task: answers from the table; nothing else of it is read.
        space: whose architectures the rows are.
        rows: so many, drawn at random; None: all.
        best: of these only the best so many; None: all.
        seed: of the draws, and of a noisy table's answers.

    Raises:
        ConfigError: the table records nothing of this space.
    """
    found = {}
    for architecture in _recorded(task, space):
        row = _row(task, architecture, seed)
        if row is not None:
            found[architecture] = row
    if not found:
        raise ConfigError(f"{task.name} records no architecture of space {space.name}")
    rng = np.random.default_rng(seed)
    if rows is not None and rows < len(found):
        found = {row.architecture: row for row in _draw(found, space, rows, rng)}
    if best is not None:
        return _best(found.values(), task.metric, best)
    if len(found) <= MAX_TRIALS:
        return list(found.values()) if rows is not None else _draw(found, space, len(found), rng)
    sample = _draw(found, space, N_RANDOM, rng)
    drawn = {row.architecture for row in sample}
    return _ordered(sample, [r for a, r in found.items() if a not in drawn], task.metric)


def rows_of_trials(
    trials: Iterable[Trial], metric: Metric, *, rows: int | None, best: int | None, seed: int
) -> list[GivenRow]:
    """Returns a run's own outcomes, as far as they say how good an architecture is.

    Raises:
        ConfigError: there are none.
    """
    found = [_known(t) for t in trials if quality(t, metric) is not None]
    if not found:
        raise ConfigError("the run has no trial with a score: there is nothing to learn from")
    rng = np.random.default_rng(seed)
    if rows is not None and rows < len(found):
        kept = rng.choice(len(found), rows, replace=False)
        found = [found[place] for place in sorted(kept.tolist())]
    if best is not None:
        return _best(found, metric, best)
    if len(found) <= MAX_TRIALS:
        return found
    order = rng.permutation(len(found)).tolist()
    mixed = sorted((found[place] for place in order), key=lambda row: row.propensity is None)
    return _ordered(mixed[:N_RANDOM], mixed[N_RANDOM:], metric)


def as_trials(rows: Sequence[GivenRow]) -> list[Trial]:
    """Returns rows as the trials of a run that gives them, numbered alike, with no ledger."""
    return [
        Trial(
            run_id="",
            number=number,
            result_id=number,
            decision_id=None,
            architecture=row.architecture,
            fidelity=row.fidelity,
            seed=row.seed,
            origin=Origin.GIVEN,
            propensity=row.propensity,
            reused=False,
            status=row.status,
            value=row.value,
            train_s=row.train_s,
            params=row.params,
            flops=row.flops,
            message=None,
        )
        for number, row in enumerate(rows, start=1)
    ]


def taught(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the given trials that condition statistics: the first `MAX_TRIALS`."""
    return [trial for trial in trials if trial.number <= MAX_TRIALS]


def answers_of(task: Task) -> str:
    """Returns what names the answers of a task: the same for every view of one table's column."""
    table = getattr(task, "table", None)
    if table is None:
        return task.id
    return f"{table.sha256} {task.name} {task.fidelity.key}"


def _recorded(task: Tabular, space: SearchSpace) -> list[Architecture]:
    index = getattr(getattr(task, "table", None), "index", None)
    if index is not None:
        return distinct(space.canonical(architecture) for architecture in index)
    members = space.members()
    if members is None:
        raise ConfigError(
            f"{task.name} does not list what it records, and space {space.name} is too large to "
            "ask for all of it; give the rows as a table"
        )
    return list(members)


def _row(task: Tabular, architecture: Architecture, seed: int) -> GivenRow | None:
    try:
        row = task.lookup(architecture, task.fidelity, seed)
    except ToolError:
        return None
    if broken_limit(task, architecture, row):
        return None
    has_value = math.isfinite(row.value)
    return GivenRow(
        architecture=architecture,
        fidelity=task.fidelity.key,
        seed=seed,
        status=ResultStatus.DONE if has_value else ResultStatus.DIVERGED,
        value=row.value if has_value else None,
        test=row.test if has_value else None,
        train_s=row.train_s,
        params=row.params,
        flops=row.flops,
    )


def _known(trial: Trial) -> GivenRow:
    return GivenRow(
        architecture=trial.architecture,
        fidelity=trial.fidelity,
        seed=trial.seed,
        status=trial.status,
        value=trial.value,
        propensity=trial.propensity,
    )


def _draw(
    found: dict[Architecture, GivenRow], space: SearchSpace, count: int, rng: np.random.Generator
) -> list[GivenRow]:
    """Returns distinct rows as the space's sampler draws them, with its propensity.

    Where the table lacks many of the draws, rows are drawn evenly and have none: their
    distribution is then the table's, not the space's.
    """
    drawn: dict[Architecture, GivenRow] = {}
    tries = misses = 0
    while len(drawn) < count and tries < TRIES * count:
        tries += 1
        architecture = space.sample(rng)
        if architecture in found:
            drawn.setdefault(architecture, replace(found[architecture], propensity=1.0))
        else:
            misses += 1
            if tries >= TRIES and misses > MISSES * tries:
                drawn = {}
                break
    left = [architecture for architecture in found if architecture not in drawn]
    picked = rng.permutation(len(left))[: count - len(drawn)]
    return [*drawn.values(), *(found[left[place]] for place in picked.tolist())]


def _best(found: Iterable[GivenRow], metric: Metric, count: int) -> list[GivenRow]:
    """Returns the best rows, best first; chosen by their value, they have no propensity."""
    ranked = sorted(found, key=lambda row: -metric.sign * _value(row, metric))
    return [replace(row, propensity=None) for row in ranked[:count]]


def _value(row: GivenRow, metric: Metric) -> float:
    return -metric.sign * math.inf if row.value is None else row.value


def _ordered(
    sample: Sequence[GivenRow], others: Sequence[GivenRow], metric: Metric
) -> list[GivenRow]:
    """Returns the sample, the best of the others, and then the others as they came."""
    best = _best(others, metric, N_BEST)
    taken = {(row.architecture, row.seed) for row in best}
    return [*sample, *best, *(r for r in others if (r.architecture, r.seed) not in taken)]
