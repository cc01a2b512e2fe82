"""How much of the trade-off between value and cost was found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vitruvius.evals.arms.oracle import Oracle, Truth
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import known_costs


def hypervolume(
    points: Iterable[tuple[float, float]], least_value: float, most_cost: float
) -> float:
    """Returns the area that points (value, cost) dominate, up to a reference point.

    More is better in values, less in costs. Points beyond the reference add nothing.
    """
    inside = sorted((cost, value) for value, cost in points if cost < most_cost)
    area, highest = 0.0, least_value
    for cost, value in inside:
        if value > highest:
            area += (value - highest) * (most_cost - cost)
            highest = value
    return area


def found_share(oracle: Oracle, cost: str) -> float:
    """Returns the hypervolume of what was asked, as a share of that of all members.

    Reference: the median row by validation, and the highest cost of a member.
    """
    truth = oracle.truth
    costs = member_costs(truth, cost)
    least, most = float(np.median(truth.rows)), max(costs.values())
    whole = hypervolume(((truth.values[a][0], c) for a, c in costs.items()), least, most)
    asked = [a for a in oracle.asked if a in costs]
    return hypervolume(((truth.values[a][0], costs[a]) for a in asked), least, most) / whole


def member_costs(truth: Truth, cost: str) -> dict[Architecture, float]:
    """Returns a cost of every member that has one."""
    known = {a: known_costs(truth.task, a).get(cost) for a in truth.values}
    return {a: value for a, value in known.items() if value is not None}
