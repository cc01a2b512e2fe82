"""What a driver tells ahead of time: limits nearly used up, and what the run will take."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vitruvius.events import EventKind
from vitruvius.graphs.drive.estimate_words import estimate_event
from vitruvius.graphs.drive.estimating import ESTIMATED, FIRST, Stand, estimate_after, shortfalls
from vitruvius.graphs.search.budget_warnings import SoftLimits
from vitruvius.memory.records import Spent

if TYPE_CHECKING:
    from vitruvius.graphs.search.session import Session


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
        digest, budget, spent = session.digest(), session.run.budget, session.spent()
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
