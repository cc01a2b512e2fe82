"""The agent, whole and with parts taken out or put in: the real graph, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.view import Architect, Proposal, Rewrite, RunView, Theorist
from vitruvius.errors import ToolError
from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.searches import run_search
from vitruvius.memory.edits import Add
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.settings import Policy
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule, SlotCondition

BEST_SHARE, FEWEST_BEST, KEPT_CHOICES = 0.2, 4, 2

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


class SilentTheorist:
    """Writes nothing after `reflections` reflections of the analyst."""

    def __init__(self, reflections: int = 0) -> None:
        self.left = reflections
        self._analyst = Analyst()

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns the analyst's edits while any reflection is left, then none."""
        self.left -= 1
        return await self._analyst.rewrite(view) if self.left >= 0 else _edits(())


class FrequencyTheorist:
    """Asks of every slot one of the choices that the best trials hold most often."""

    async def rewrite(self, view: RunView) -> Rewrite:
        """Returns a rule for every slot where it says something new."""
        known = {principle.version.rule.key for principle in view.principles}
        scored = [trial for trial in view.trials if trial.value is not None]
        sign = view.task.metric.sign
        order = np.argsort([-sign * (trial.value or 0.0) for trial in scored], kind="stable")
        best = order[: max(FEWEST_BEST, round(BEST_SHARE * len(scored)))].tolist()
        edits = []
        for slot in view.space.slots:
            held = Counter(scored[place].architecture.spec[slot.name] for place in best)
            choices = tuple(name for name, _ in held.most_common(KEPT_CHOICES))
            rule = Rule(stance="require", all=(SlotCondition(slot=slot.name, choices=choices),))
            if choices and rule.key not in known:
                edits.append(
                    Add(
                        statement=f"{slot.name} holds {' or '.join(choices)}",
                        rule=rule,
                        rationale="most frequent among the best trials",
                    )
                )
        return _edits(edits)


class CredulousArchitect(Analyst):
    """Keeps to every principle in words, measured or not, the latest first."""

    async def decide(self, view: RunView) -> Proposal:
        """Returns the analyst's decision in what the principles leave."""
        region: Region = view.region
        # numbers that the run's own cuts never reach
        for number, principle in enumerate(reversed(view.principles), start=1000):
            version = principle.version
            cut = Cut(number=number, rule=version.rule, principle=version.name, reason="")
            try:
                region = region.with_cut(cut)
            except ToolError:
                continue
        return await super().decide(replace(view, region=region, cuts=region.cuts))


def _edits(edits: list[Add] | tuple[()]) -> Rewrite:
    return Rewrite(edits=edits, author="control")


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
