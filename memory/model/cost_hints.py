"""Costs that are known before training, as hints and against the limits of a task."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.prior import Hint
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    reference_features,
)
from vitruvius.tasks.task import Task, known_costs

CHEAP = ("params", "flops")  # exact, free, and of the architecture alone


def cost_hints(space: SearchSpace, task: Task) -> tuple[Hint, ...]:
    """Returns hints of log parameters and multiply-adds, where a listed space's are all known.

    They claim nothing: whether more is better is for the run's trials to say. Only a task that
    tells costs has them, which is a table: where networks are really trained they are counted on a
    network that is built, and a hint needs them of every member (NAS-Bench-201: 6,466 networks to
    build before the first trial). A task that is no key of a cache has none.
    """
    return _cost_hints(space, task) if isinstance(task, Hashable) else ()


@lru_cache(maxsize=8)
def _cost_hints(space: SearchSpace, task: Task) -> tuple[Hint, ...]:
    members = space.members()
    if members is None:
        return ()
    known = [known_costs(task, member) for member in members]
    rows = {row.tobytes(): place for place, row in enumerate(space.featurise(members))}
    hints = []
    for name in CHEAP:
        costs = np.array([costs.get(name, np.nan) for costs in known])
        if not (costs > 0).all() or costs.std() == 0:
            continue
        logs = np.log(costs)
        drawn = logs[[rows[row.tobytes()] for row in reference_features(space)]]
        hints.append(_hint(name, (logs - drawn.mean()) / drawn.std(), rows))
    return tuple(hints)


def _hint(name: str, logs: FloatArray, rows: dict[bytes, int]) -> Hint:
    def values(features: FloatArray) -> FloatArray:
        there = np.ascontiguousarray(features)
        return logs[np.array([rows[row.tobytes()] for row in there], dtype=np.int64)]

    return Hint(name=name, values=values, trust=0.0)


def keeps_limits(
    space: SearchSpace, task: Task, architectures: Sequence[Architecture]
) -> BoolArray:
    """Returns which architectures are not known to break a limit of the task [N].

    Args:
        space: its members are looked up once.
        task: gives limits and costs.
        architectures: all members of the space, in their order, or any others.
    """
    if not task.constraints.limits:
        return np.ones(len(architectures), dtype=np.bool_)
    members = space.members()
    if members is not None and len(members) == len(architectures) and isinstance(task, Hashable):
        return _members_keep(space, task)
    return _keep(task, architectures)


@lru_cache(maxsize=4)
def _members_keep(space: SearchSpace, task: Task) -> BoolArray:
    return _keep(task, space.members() or ())


def _keep(task: Task, architectures: Sequence[Architecture]) -> BoolArray:
    known = [known_costs(task, architecture) for architecture in architectures]
    broken = task.constraints.violation
    return np.array([not costs or broken(**costs) is None for costs in known], dtype=np.bool_)
