"""What a driver tells ahead of time: limits nearly used up, and what the run will take."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vitruvius.budget import Budget
from vitruvius.events import EventKind
from vitruvius.graphs.drive.estimating import (
    ESTIMATED,
    FIRST,
    Stand,
    estimate_after,
    estimate_event,
    shortfalls,
)
from vitruvius.graphs.search.schedule import CONFIRM_SHARE
from vitruvius.memory.records import Spent
from vitruvius.tools.report.words import seconds

if TYPE_CHECKING:
    from vitruvius.graphs.search.session import Session


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


@dataclass(kw_only=True)
class Foresight:
    """What one process has told of its run so far."""

    limits: SoftLimits | None = None
    first: Stand | None = None  # after the first batch of this process
    is_estimated: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def warn(self, session: Session, spent: Spent) -> None:
        """Tells of each limit that is nearly used up, once; heartbeat and nodes both come here."""
        with self.lock:
            if self.limits is None:
                self.limits = SoftLimits(budget=session.run.budget, is_noisy=session.task.is_noisy)
            sentences = list(self.limits.look(spent))
        for sentence in sentences:
            session.tell(EventKind.WARNING, sentence)

    def estimate_anew(self, session: Session) -> None:
        """Says what the run will take, once its own first trials say it."""
        if self.is_estimated:
            return
        digest, budget, spent = session.reader.digest(), session.run.budget, session.spent()
        if self.first is None:
            self.first = Stand(trials=digest.last, wall_s=spent.wall_s) if digest.last else None
            return
        if digest.last < max(FIRST, self.first.trials + 1):
            return
        self.is_estimated = True
        if any(
            mark.step > 0 for mark in session.ledger.steps.marks(session.run.id, ESTIMATED, last=1)
        ):
            return  # by the driver before this one
        found = estimate_after(self.first, spent, digest.last, digest.train_s, budget)
        session.ledger.steps.mark(session.run.id, ESTIMATED, 1, found.data)
        session.listener(estimate_event(found))
        every, is_noisy = session.policy.reflect_every, session.task.is_noisy
        for sentence in shortfalls(found, budget, reflect_every=every, is_noisy=is_noisy):
            session.tell(EventKind.WARNING, sentence)
