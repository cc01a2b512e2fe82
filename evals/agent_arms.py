"""The agent, whole and with parts taken out, in the bare loop around the analyst."""

from __future__ import annotations

from vitruvius.evals.arena import Arena
from vitruvius.evals.arms import Arm, Given
from vitruvius.evals.oracle import PaidTask
from vitruvius.spaces.region import Region


def agent(given: Given) -> None:
    """Lets the analyst ask until the oracle is spent."""
    task = PaidTask(given.oracle, given.constraints)
    region = Region(given.space)
    arena = Arena(given.space, task, given.oracle, given.seed, region, sources=given.sources)
    while True:
        arena.step()


ARMS = (
    Arm(name="cold", about="the agent with nothing beforehand", run=agent),
    Arm(name="transfer", about="the agent with the sources", run=agent, hears=True),
)
