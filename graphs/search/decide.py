"""What to do next: the forced share of the program, the rest from the architect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vitruvius.agents.chairs.view import Proposal, RunView
from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search import prune as pruning
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.session import Session
from vitruvius.memory.decisions import Decision, Plan
from vitruvius.memory.records import Origin
from vitruvius.memory.transfer.weighing import has_guide
from vitruvius.spaces.space import Architecture
from vitruvius.tools.calls.train import Train

REDRAWS = 50  # tries for a uniform draw that the run has not seen


async def decide(session: Session) -> Decision | None:
    """Returns the stored decision of this step; None when there is nothing left to decide."""
    step, room, forced, view = await session.call(_prepare, session)
    if room == 0:
        return None
    trials = [plan.written for plan in forced]
    written: dict[str, Any] = {"tool": "train", "reason": "uniform design", "trials": trials}
    author = "design"
    if view is not None:
        proposal = await _propose(session, view)
        await session.call(_book, session, proposal, step)
        if proposal is not None:
            author = proposal.author
            written = proposal.decision.model_dump(mode="json")
            if isinstance(proposal.decision, Train):
                picked = [session.space.parse(s) for s in proposal.decision.architectures]
                written["trials"] = trials + [chosen(session, one).written for one in picked]
        elif not forced:
            return None
    decision = await session.call(session.accept, step, author, written)
    tell_decision(session, decision)
    return decision


def tell_decision(session: Session, decision: Decision) -> None:
    """Tells what was decided."""
    session.tell(
        EventKind.DECISION,
        _words(decision),
        author=decision.author,
        tool=decision.call.tool,
        status=decision.status,
    )


def chosen(session: Session, architecture: Architecture) -> Plan:
    """Returns the plan of a trial that somebody chose."""
    return _planned(session, architecture, Origin.ARCHITECT, session.run.seed)


def _prepare(session: Session) -> tuple[int, int, list[Plan], RunView | None]:
    """Returns the step, how many trainings it may open, the forced ones, the view for the rest."""
    step, spent = session.reader.steps(), session.account()
    room = int(min(session.batch, session.reader.search_left(spent)))
    forced = _forced(session, room, step) if room else []
    rest = room - len(forced)
    return step, room, forced, session.reader.view(step, "architect", rest, spent) if rest else None


async def _propose(session: Session, view: RunView) -> Proposal | None:
    """Returns the architect's proposal, or None where the space has nothing untried.

    A region with nothing untried is widened: a cut saves trials, it does not end a run.
    """
    while True:
        try:
            return await session.architect.decide(view)
        except ToolError as error:
            session.tell(EventKind.WARNING, str(error))
        if not await session.call(pruning.widen_region, session, view.step):
            return None
        region = await session.call(session.reader.region)
        view = replace(view, region=region, cuts=region.cuts)


def _book(session: Session, proposal: Proposal | None, step: int) -> None:
    if proposal is None:
        return
    for call in proposal.calls:
        session.ledger.steps.add_call(session.run.id, call)
    for down in proposal.turned_down:
        session.ledger.steps.add_decision(
            session.run.id, step, down.author, {"text": down.text}, down.status, down.problem
        )
        session.tell(EventKind.WARNING, f"turned down ({down.status}): {down.problem}")


def _forced(session: Session, room: int, step: int) -> list[Plan]:
    digest = session.reader.digest()
    incumbent = next(iter(digest.leaders(1)), None) if session.task.is_noisy else None
    origins = schedule.forced_origins(
        digest.origins,
        explore=session.policy.explore,
        control=session.policy.control,
        repeats_due=schedule.repeats_due(
            digest.origins,
            session.reader.verifications(),
            session.task.is_noisy,
        )
        if incumbent is not None
        else 0,
        room=room,
        guided=has_guide(session.space, session.reader.sources),
    )
    rng = session.reader.rng("uniform", step)
    drawn: set[Architecture] = set()
    plan = []
    for origin in origins:
        if origin == Origin.REPEAT and incumbent is not None:
            seed = session.run.seed + digest.counts[incumbent]
            plan.append(_planned(session, incumbent, origin, seed))
            continue
        architecture = session.space.sample(rng)
        for _ in range(REDRAWS if origin == Origin.EXPLORE else 0):
            if architecture not in digest.seen and architecture not in drawn:
                break
            architecture = session.space.sample(rng)
        drawn.add(architecture)
        plan.append(_planned(session, architecture, origin, session.run.seed))
    return plan


def _planned(session: Session, architecture: Architecture, origin: Origin, seed: int) -> Plan:
    # A uniform trial is a draw of the sampler itself: its weight against it is one.
    propensity = 1.0 if origin in (Origin.EXPLORE, Origin.CONTROL) else None
    return Plan(spec=architecture.spec, origin=origin, seed=seed, propensity=propensity)


def _words(decision: Decision) -> str:
    what = decision.call.tool
    if isinstance(decision.call, Train):
        what = f"train {len(decision.plans)}"
    return f"{decision.author}: {what}. {decision.reason}"
