"""Chairs with a part taken out or put in, for ablations at equal budget."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.protocols import Proposal, Rewrite
from vitruvius.agents.chairs.view import RunView
from vitruvius.errors import ToolError
from vitruvius.memory.edits import Add
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule, SlotCondition

BEST_SHARE, FEWEST_BEST, KEPT_CHOICES = 0.2, 4, 2


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
