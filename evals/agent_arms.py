"""The agent, whole and with parts taken out: the real graph, in memory."""

from __future__ import annotations

from functools import partial

from vitruvius.evals.arms import Arm, Given
from vitruvius.evals.searches import run_search
from vitruvius.graphs.session import Policy


def agent(given: Given, *, policy: Policy | None = None, tells_costs: bool = True) -> None:
    """Lets the agent search: statistics in both chairs."""
    run_search(
        given.space,
        given.task(tells_costs=tells_costs),
        queries=int(given.oracle.queries),
        seed=given.seed,
        sources=given.sources,
        policy=policy,
        cuts=given.cuts,
    )


ARMS = (
    Arm(name="cold", about="the agent with nothing beforehand", run=agent),
    Arm(name="transfer", about="the agent with the sources", run=agent, hears=True),
    Arm(
        name="cold, no costs",
        about="cold, and the costs of an architecture are not told",
        run=partial(agent, tells_costs=False),
    ),
)
