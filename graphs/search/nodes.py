"""The nodes: each reads the run from the ledger, does one thing, and says what is due next.

A node may be entered again after a kill at any instant; it finds what it has already written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from vitruvius.errors import ToolError
from vitruvius.events import EventKind
from vitruvius.graphs.search import act as acting
from vitruvius.graphs.search import approve as approving
from vitruvius.graphs.search import confirm as confirming
from vitruvius.graphs.search import decide as deciding
from vitruvius.graphs.search import prune as pruning
from vitruvius.graphs.search import recall as recalling
from vitruvius.graphs.search import reflect as reflecting
from vitruvius.graphs.search import wishes as wishing
from vitruvius.graphs.search.schedule import next_node
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.source_runs import note_weights
from vitruvius.memory.records import RunStatus
from vitruvius.tools.report import write_report

Due = Literal["verify", "architect", "wishes", "reflect", "confirm", "report"]


class SearchInput(TypedDict):
    """What a caller gives: the run to drive, new or interrupted."""

    run_id: str


class SearchState(TypedDict, total=False):
    """What flows: the run and the decision under way, as ids. The ledger has all else."""

    run_id: str
    decision_id: int
    answer: dict[str, object] | None  # of the person who was asked, None where nobody was
    problem: str | None  # with the call that the person wrote instead: they are asked again


async def _due(session: Session) -> Due:
    if session.stopping.is_set():
        return "report"
    progress = await session.call(session.progress)
    if session.stopping.is_set():  # the look at the account renewed the lease, and was told
        return "report"
    due = next_node(progress, session.policy.reflect_every)
    if due == "verify" or progress.has_open_decision:
        return due
    if due == "reflect" and not session.only_wishes:
        return due
    if await session.call(session.reader.has_wishes):
        return "wishes"
    if session.only_wishes:
        session.stopping.set()  # it came for wishes, and none is left
        return "report"
    return due


async def recall(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["prune", "verify", "wishes", "reflect", "confirm", "report"]]:
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


async def wishes(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["act", "prune", "verify", "wishes", "reflect", "confirm", "report"]]:
    """Takes up the oldest wish: it becomes a decision, or is carried out here."""
    session = runtime.context
    decision = await wishing.take_wish(session)
    if decision is not None:
        update: SearchState = {"decision_id": decision.id, "answer": None}
        return Command(goto="act", update=update)
    due = await _due(session)
    return Command(goto="prune" if due == "architect" else due)


async def architect(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["approve", "act", "wishes", "confirm", "report"]]:
    """Stores one decision before it is carried out; takes up an open one first, then wishes."""
    session = runtime.context
    decision = await session.call(session.reader.open_decision)
    if decision is None and await session.call(session.reader.has_wishes):
        return Command(goto="wishes")
    if decision is None and session.only_wishes:
        session.stopping.set()
        return Command(goto="report")
    if decision is None:
        decision = await deciding.decide(session)
    if decision is None:
        return Command(goto="confirm")
    update: SearchState = {"decision_id": decision.id, "answer": None, "problem": None}
    if session.asks and await session.call(approving.is_asked_about, session, decision):
        await session.call(approving.note_asked, session, decision)
        return Command(goto="approve", update=update)
    if session.only_wishes and await session.call(approving.is_waiting, session, decision):
        session.tell(
            EventKind.WARNING,
            f"step {decision.step} waits for an answer: go on with `vitruvius resume "
            f"{session.run.id} --ask`, or without being asked with `vitruvius resume "
            f"{session.run.id}`",
        )
        session.stopping.set()
        return Command(goto="report")
    return Command(goto="act", update=update)


async def approve(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["approve", "act"]]:
    """Asks the person. Has no effects: an answer re-enters it."""
    session = runtime.context
    decision = await session.call(session.reader.open_decision)
    if decision is None:
        return Command(goto="act")
    problem = state.get("problem")
    answer: Any = interrupt(await session.call(approving.question, session, decision, problem))
    if answer["approved"] and isinstance(answer.get("call"), Mapping):
        try:
            await session.call(approving.edited, session, decision, answer["call"])
        except ToolError as error:
            return Command(goto="approve", update={"problem": str(error)})
    return Command(goto="act", update={"answer": answer})


async def act(
    state: SearchState, runtime: Runtime[Session]
) -> Command[Literal["architect", "verify", "wishes", "reflect", "confirm", "report"]]:
    """Carries the open decision out; a second entry finds what the first one did."""
    session = runtime.context
    decision = await session.call(session.reader.open_decision)
    if decision is not None:
        answer = state.get("answer")
        if answer is not None and not answer.get("approved", False):
            await session.call(acting.refuse, session, decision, str(answer.get("reason", "")))
        else:
            if answer is not None:
                decision = await session.call(approving.take_answer, session, decision, answer)
            await acting.carry_out(session, decision)
            await session.call(session.foresight.estimate_anew, session)
            await session.call(wishing.tell_closed, session, decision)
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
) -> Command[Literal["prune", "wishes", "reflect", "confirm", "report"]]:
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
    await session.call(note_weights, session)
    await session.call(session.close_account)
    await session.call(
        write_report,
        session.ledger,
        session.run.id,
        session.space,
        session.task,
        session.run_dir,
        status,
        with_page=session.writes_page,
    )
    return Command(goto="__end__")
