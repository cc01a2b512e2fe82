"""Soft warnings: a budget that is nearly used up, once for each of its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vitruvius.budget import Budget
from vitruvius.graphs.search.schedule import CONFIRM_SHARE
from vitruvius.memory.records import Spent
from vitruvius.tools.report.words import seconds

SOFT = 0.8
_NAMES = {
    "trials": "trials",
    "wall_s": "time",
    "train_s": "seconds of training",
    "tokens": "tokens",
    "dollars": "dollars",
}


@dataclass(kw_only=True)
class SoftLimits:
    """What of a budget was warned of, by this process."""

    budget: Budget
    is_noisy: bool  # whether a share of it confirms
    told: set[str] = field(default_factory=set)

    def look(self, spent: Spent) -> Iterator[str]:
        """Yields a sentence for each limit of which 80 % are used, the first time."""
        for field_name, name in _NAMES.items():
            limit, used = getattr(self.budget, field_name), getattr(spent, field_name)
            if limit is None or used is None or used < SOFT * limit or name in self.told:
                continue
            self.told.add(name)
            yield (
                f"{used / limit:.0%} of the {name} of the budget are used "
                f"({_amount(field_name, used)} of {_amount(field_name, limit)}); {self._then(name)}"
            )

    def _then(self, name: str) -> str:
        if name in ("tokens", "dollars") or not self.is_noisy:
            return "at 100 % the search ends, and what it found is reported"
        return f"at {1 - CONFIRM_SHARE:.0%} the search ends, the rest confirms the best networks"


def _amount(field_name: str, amount: float) -> str:
    if field_name in ("wall_s", "train_s"):
        return seconds(amount)
    return f"${amount:.2f}" if field_name == "dollars" else f"{amount:,}"
