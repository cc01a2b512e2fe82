"""Sources for experiments: what a table says of some architectures, told truly or twisted.

A source is made from a task of its own and never sees the target's. Twists are functions of a
source, so that they combine: `top_reversed(random_source(space, task, 200, rng))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vitruvius.memory.records import Origin, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace
from vitruvius.tasks.tables.table import Tabular

RUN_ID = "source"
TRUST = 0.6  # what a run grants another task of its own space
TOP = 0.1  # the share of a source that `top_reversed` turns round


def table_source(
    space: SearchSpace, task: Tabular, architectures: Sequence[Architecture], trust: float = TRUST
) -> Source:
    """Returns what a table says of the architectures, in their order."""
    return Source(
        run_id=RUN_ID,
        task_name=task.name,
        space=space,
        metric=task.metric,
        trials=[_trial(task, each, place + 1) for place, each in enumerate(architectures)],
        trust=trust,
    )


def whole_source(space: SearchSpace, task: Tabular, trust: float = TRUST) -> Source:
    """Returns what a table says of every member of a space that lists them."""
    members = space.members()
    assert members is not None, f"{space.name} does not list its members"
    return table_source(space, task, members, trust)


def random_source(
    space: SearchSpace,
    task: Tabular,
    count: int,
    rng: np.random.Generator,
    trust: float = TRUST,
) -> Source:
    """Returns what a table says of `count` different draws of the space's sampler."""
    found: dict[Architecture, None] = {}
    while len(found) < count:
        found[space.sample(rng)] = None
    return table_source(space, task, list(found), trust)


def best_of(source: Source, count: int) -> Source:
    """Returns the source's best `count` trials only, best first; nobody says what was worse."""
    order = np.argsort(-_qualities(source), kind="stable")[:count]
    return replace(source, trials=[source.trials[place] for place in order.tolist()])


def inverted(source: Source) -> Source:
    """Returns the source with its order turned round; the values stay the same ones."""
    return _reordered(source, np.arange(len(source.trials)))


def top_reversed(source: Source, share: float = TOP) -> Source:
    """Returns the source with the order of its best `share` turned round: right in the bulk."""
    return _reordered(source, np.arange(max(2, round(share * len(source.trials)))))


def shuffled(source: Source, rng: np.random.Generator) -> Source:
    """Returns the source with its values dealt out at random."""
    values = [trial.value for trial in source.trials]
    dealt = [values[place] for place in rng.permutation(len(values)).tolist()]
    return _with_values(source, dealt)


def _reordered(source: Source, places: np.ndarray) -> Source:
    """Returns the source with its best trials, at `places` of its order, turned round."""
    order = np.argsort(-_qualities(source), kind="stable")[places]
    values = [trial.value for trial in source.trials]
    for giver, taker in zip(order.tolist(), order[::-1].tolist(), strict=True):
        values[taker] = source.trials[giver].value
    return _with_values(source, values)


def _with_values(source: Source, values: Sequence[float | None]) -> Source:
    told = zip(source.trials, values, strict=True)
    return replace(source, trials=[replace(trial, value=value) for trial, value in told])


def _qualities(source: Source) -> FloatArray:
    values = [np.nan if trial.value is None else trial.value for trial in source.trials]
    return source.metric.sign * np.array(values)


def _trial(task: Tabular, architecture: Architecture, number: int) -> Trial:
    row = task.lookup(architecture, task.fidelity, 0)
    return closed_trial(
        number,
        architecture,
        row.value,
        origin=Origin.GIVEN,
        fidelity=task.fidelity.key,
        params=row.params,
        flops=row.flops,
    )
