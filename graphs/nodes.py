"""The nodes: each reads the run from the ledger, does one thing, and says what is due next.

A node may be entered again after a kill at any instant; it finds what it has already written.
"""

from __future__ import annotations

from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from vitruvius.graphs import acting, confirming, crediting, deciding, pruning, recalling, reflecting
from vitruvius.graphs.schedule import next_node
from vitruvius.graphs.session import Session
from vitruvius.graphs.state import SearchState
from vitruvius.memory.records import RunStatus
from vitruvius.tools.report import write_report

Due = Literal["verify", "architect", "reflect", "confirm", "report"]


async def _due(session: Session) -> Due:
    if session.stopping.is_set():
        return "report"
    progress = await session.call(session.progress)
    if session.stopping.is_set():  # the look at the account renewed the lease, and was told
        return "report"
    return next_node(progress, session.policy.reflect_every)


async def recall(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["prune", "verify", "reflect", "confirm", "report"]]:
    """Brings in principles of earlier runs once, and finds where the run stands."""
    session = runtime.context
    await session.call(recalling.recall_principles, session)
    due = await _due(session)
    return Command(goto="prune" if due == "architect" else due)


async def prune(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["architect", "report"]]:
    """Makes the cuts that the last verification licenses, and undoes those it does not."""
    session = runtime.context
    await session.call(pruning.prune_by_evidence, session)
    return Command(goto="report" if session.stopping.is_set() else "architect")


async def architect(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["approve", "act", "confirm"]]:
    """Stores one decision before it is carried out; takes up an open one first."""
    session = runtime.context
    decision = await session.call(session.open_decision)
    if decision is None:
        decision = await deciding.decide(session)
    if decision is None:
        return Command(goto="confirm")
    update: SearchState = {"decision_id": decision.id, "answer": None}
    return Command(goto="approve" if session.asks else "act", update=update)


async def approve(state: SearchState, runtime: Runtime[Session]) -> Command[Literal["act"]]:
    """Asks the person where the run is set to. Has no effects: an answer re-enters it."""
    session = runtime.context
    decision = await session.call(session.open_decision)
    if decision is None or decision.call["tool"] not in ("train", "prune"):
        return Command(goto="act")
    answer: Any = interrupt({"decision": decision.id, "call": dict(decision.call)})
    return Command(goto="act", update={"answer": answer})


async def act(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["architect", "verify", "reflect", "confirm", "report"]]:
    """Carries the open decision out; a second entry finds what the first one did."""
    session = runtime.context
    decision = await session.call(session.open_decision)
    if decision is not None:
        answer = state.get("answer")
        if answer is not None and not answer.get("approved", False):
            await session.call(acting.refuse, session, decision, str(answer.get("reason", "")))
        else:
            await acting.carry_out(session, decision)
            await session.call(session.estimate_anew)
    return Command(goto=await _due(session))


async def reflect(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["verify", "report"]]:
    """Lets the theorist rewrite the principles in the light of the new results."""
    session = runtime.context
    await reflecting.rewrite_principles(session)
    return Command(goto="report" if session.stopping.is_set() else "verify")


async def verify(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["prune", "reflect", "confirm", "report"]]:
    """Measures every principle on the run's trials before any is believed."""
    session = runtime.context
    await session.call(reflecting.verify_principles, session)
    due = await _due(session)
    if due == "architect" or due == "verify":
        return Command(goto="prune")
    return Command(goto=due)


async def confirm(state: SearchState, runtime: Runtime[Session]) -> Command[Literal["report"]]:
    """Trains the finalists again on fresh seeds: the best of many noisy numbers is biased."""
    session = runtime.context
    await confirming.confirm_finalists(session)
    return Command(goto="report")


async def report(state: SearchState, runtime: Runtime[Session]) -> Command[Literal["__end__"]]:
    """Writes the report; every number comes from the ledger."""
    session = runtime.context
    status = RunStatus.INTERRUPTED if session.stopping.is_set() else RunStatus.DONE
    await session.call(crediting.note_weights, session)
    await session.call(
        write_report,
        session.ledger,
        session.run.id,
        session.space,
        session.task,
        session.run_dir,
        status,
    )
    return Command(goto="__end__")
