"""The agent, whole and with parts taken out: the real graph, in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.protocols import Architect, Theorist
from vitruvius.evals.arms.ablations import CredulousArchitect, FrequencyTheorist, SilentTheorist
from vitruvius.evals.arms.registry import Arm, Given
from vitruvius.evals.searches import run_search
from vitruvius.graphs.search.policy import Policy
from vitruvius.memory.ledger.ledger import Ledger

Chairs = Callable[[], tuple[Architect, Theorist]]  # made anew for every search


def agent(
    given: Given,
    *,
    policy: Policy | None = None,
    chairs: Chairs | None = None,
    tells_costs: bool = True,
    ledger: Ledger | None = None,
) -> None:
    """Lets the agent search; statistics in both chairs, unless others are given."""
    run_search(
        given.space,
        given.task(tells_costs=tells_costs),
        queries=int(given.oracle.queries),
        seed=given.seed,
        sources=given.sources,
        policy=policy,
        chairs=chairs() if chairs else None,
        cuts=given.cuts,
        ledger=ledger,
    )


def _arm(
    name: str,
    about: str,
    *,
    policy: Policy | None = None,
    chairs: Chairs | None = None,
    tells_costs: bool = True,
) -> Arm:
    run = partial(agent, policy=policy, chairs=chairs, tells_costs=tells_costs)
    return Arm(name=name, about=about, run=run, hears=True)


ARMS = (
    Arm(name="cold", about="the agent with nothing beforehand", run=agent),
    Arm(
        name="cold, no costs",
        about="cold, and the costs of an architecture are not told",
        run=partial(agent, tells_costs=False),
    ),
    _arm("transfer", "the agent with the sources"),
    _arm("wrong start", "the agent with the cut"),
    _arm("whole", "the agent with all that the case tells"),
    _arm(
        "no principles", "whole, and nothing is written down",
        chairs=lambda: (Analyst(), SilentTheorist()),
    ),
    _arm(
        "frozen principles", "whole, and only the first reflection writes",
        chairs=lambda: (Analyst(), SilentTheorist(1)),
    ),
    _arm(
        "unverified", "whole, and every principle cuts, measured or not",
        chairs=lambda: (CredulousArchitect(), Analyst()),
    ),
    _arm("no exploration", "whole, without the uniform share", policy=Policy(explore=0.0)),
    _arm("no cuts", "whole, and no evidence licenses a cut", policy=Policy(cut_loss=0.0)),
    _arm("no costs", "whole, and the costs of an architecture are not told", tells_costs=False),
    _arm(
        "frequency theorist", "whole, with the choices of the best trials as principles",
        chairs=lambda: (Analyst(), FrequencyTheorist()),
    ),
)  # fmt: skip
