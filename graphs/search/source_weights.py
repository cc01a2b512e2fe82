"""What a run's trials made of its sources: noted at its end, for its report and later runs."""

from __future__ import annotations

import math

from vitruvius.agents.analyst.analyst import learned_weights
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.source_runs import TRANSFERRED


def note_weights(session: Session) -> None:
    """Notes each source's learned weight: 1 as trusted, 0 of no use, below 0 misleading.

    A run that is stopped and goes on notes them again; the last note counts.
    """
    closed = len(session.digest().search)
    if not session.sources or not closed:
        return
    view = session.view(session.steps(), "credit", 1, session.spent())
    weights = {run: w for run, w in learned_weights(view).items() if math.isfinite(w)}
    session.ledger.steps.mark(session.run.id, TRANSFERRED, closed, {"weights": weights})
