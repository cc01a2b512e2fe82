"""How long a training may go on before the run's limit on time ends it."""

from __future__ import annotations

from vitruvius.graphs.search.schedule import confirm_seconds
from vitruvius.graphs.search.session import Session
from vitruvius.memory.records import Origin, Trial
from vitruvius.tasks.tables.table import Tabular


def seconds_left(session: Session, trial: Trial) -> float | None:
    """Returns after how many seconds the trial is cut off; None for a run without such a limit.

    What is still trained for the search when only a round of trainings fits the rest is cut off,
    so that what was found is confirmed and reported within the limit. Where no training has
    finished yet there is nothing to confirm, and all of the time is the search's. A replay cuts off
    what was cut off then.
    """
    if session.recorded is not None:
        return 0.0 if trial.number in session.recorded.cut_off else None
    limit = session.run.budget.wall_s
    if limit is None or isinstance(session.task, Tabular):  # a table answers at once
        return None
    confirms = trial.origin != Origin.CONFIRM and session.task.is_noisy
    kept = confirm_seconds(limit, session.train_s()) if confirms else 0.0
    return max(0.0, limit - kept - session.spent().wall_s)
