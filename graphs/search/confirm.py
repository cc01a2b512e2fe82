"""The last share of a budget: the finalists on fresh seeds."""

from __future__ import annotations

import math
from typing import Any

from vitruvius.events import EventKind
from vitruvius.graphs.search import act as acting
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Plan
from vitruvius.memory.records import Origin

FRESH_SEEDS = 1000  # offset: seeds of a confirmation are never those of the search


async def confirm_finalists(session: Session) -> None:
    """Trains the best of the search again on fresh seeds, once; an open one is taken up."""
    decision = await session.call(session.reader.open_decision)
    if decision is None:
        plan = await session.call(_plan, session)
        if not plan:
            return
        step = await session.call(session.reader.steps)
        trials = [one.written for one in plan]
        call: dict[str, Any] = {"tool": "train", "reason": "confirmation", "trials": trials}
        decision = await session.call(session.accept, step, "confirmation", call)
        session.tell(
            EventKind.CONFIRM,
            f"confirming the best on fresh seeds: {len(plan)} trainings",
            finalists=[one.spec for one in plan],
        )
    await acting.carry_out(session, decision)


def _plan(session: Session) -> list[Plan]:
    digest = session.reader.digest()
    if not session.task.is_noisy or digest.origins[Origin.CONFIRM]:
        return []
    finalists = digest.leaders(schedule.FINALISTS)
    count = schedule.confirm_trials(_room(session)) if finalists else 0
    return [
        Plan(
            spec=finalists[number % len(finalists)].spec,
            origin=Origin.CONFIRM,
            seed=session.run.seed + FRESH_SEEDS + number // len(finalists),
        )
        for number in range(count)
    ]


def _room(session: Session) -> float:
    """Returns how many trainings fit what is left of trials and times."""
    budget, spent = session.run.budget, session.spent()
    if session.reader.recorded is not None and session.reader.recorded.confirmations is not None:
        return session.reader.recorded.confirmations
    room = math.inf if budget.trials is None else float(budget.trials - spent.trials)
    for limit, used, each, at_once in (
        (budget.wall_s, spent.wall_s, session.reader.train_s(), session.evaluator.slots),
        (budget.train_s, spent.train_s or 0.0, session.reader.digest().train_s, 1),
    ):
        left = math.inf if limit is None else max(0.0, limit - used)
        if each > 0 and math.isfinite(left):
            room = min(room, math.floor(left / each) * at_once)  # whole rounds
        elif left == 0:
            room = 0
    return room
