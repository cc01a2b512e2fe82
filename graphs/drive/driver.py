"""One process driving one run: lease, heartbeat, engines, checkpoints, and the graph."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.create import create_chairs, replayed_chairs
from vitruvius.agents.model.resolving import Resolved, at_hand, resolve_model
from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.events import Ask, Event, EventKind, Listener
from vitruvius.graphs.drive.ending import end
from vitruvius.graphs.drive.log import logged, send_traces, traced_as
from vitruvius.graphs.drive.replay import check_same, recorded_run
from vitruvius.graphs.search.graph import MOST_STEPS, create_search_graph
from vitruvius.graphs.search.reader import Reader
from vitruvius.graphs.search.schedule import MODEL_BATCH
from vitruvius.graphs.search.session import Session
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run, RunStatus
from vitruvius.settings import Settings
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.tensorboard import tracked
from vitruvius.tools.training.evaluator import create_evaluator

HEARTBEAT_S = 5.0
KEPT_CHECKPOINTS = 50


Through = Callable[["Job", Session], Awaitable[None]]
"""Runs the search graph of a job in its session."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is needed to drive a run: its row, the objects it names, and this process's wishes."""

    run: Run
    home: Path
    settings: Settings
    space: SearchSpace
    task: Task
    listener: Listener
    ask: Ask | None
    stopping: asyncio.Event
    through: Through | None = None  # runs the graph where a server keeps its checkpoints
    only_wishes: bool = False  # whether to let go of the run once no wish is open


async def drive(job: Job) -> RunStatus:
    """Drives the run until it is done or stopped, and returns which.

    Raises:
        RunHeld: another live process drives it.
        ReplayDiverged: it is a replay, and did not end as it was recorded.
        VitruviusError: the run cannot go on; what was finished is kept and it can be resumed.
    """
    key = job.settings.api_key
    secrets = [key.get_secret_value()] if key else []
    ledger = await asyncio.to_thread(Ledger.open, job.home, secrets=secrets)
    driver = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        await asyncio.to_thread(ledger.runs.claim, job.run.id, driver)
        engines = contextlib.ExitStack()  # those that block when they end: log, a model's server
        try:
            listener = await asyncio.to_thread(_listener, job, engines)
            return await _claimed(replace(job, listener=listener), ledger, driver, engines)
        finally:
            await asyncio.to_thread(engines.close)
    finally:
        await asyncio.to_thread(ledger.close)


async def _claimed(
    job: Job, ledger: Ledger, driver: str, engines: contextlib.ExitStack
) -> RunStatus:
    """Drives a run that this process holds, lets go of it, and tells who waits for its end."""
    status = RunStatus.INTERRUPTED
    try:
        try:
            async with _session(job, ledger, driver, engines) as session:
                await (job.through or _search)(job, session)
                if not session.stopping.is_set():
                    status = RunStatus.DONE
        finally:
            await asyncio.to_thread(ledger.runs.release, job.run.id, driver, status)
        path = job.home / "runs" / job.run.id / "report.md"
        job.listener(
            Event(
                kind=EventKind.DONE,
                text=f"run {job.run.id} is {status}; report: {path}",
                data={"run": job.run.id, "status": status, "report": str(path)},
            )
        )
        if status == RunStatus.DONE:  # after the release: a replay that differs is kept, and ended
            await asyncio.to_thread(check_same, job.home, ledger, job.run.id)
        return status
    finally:
        await send_traces()
        await end(job, ledger, sys.exception())


def _listener(job: Job, engines: contextlib.ExitStack) -> Listener:
    """Returns the job's listener behind those that the settings ask for and the run's own log."""
    listener, folder = job.listener, job.settings.tensorboard
    if folder is not None:
        listener = engines.enter_context(tracked(folder, job.run.id, listener))
    return engines.enter_context(logged(job.home / "runs" / job.run.id, listener))


@contextlib.asynccontextmanager
async def _session(
    job: Job, ledger: Ledger, driver: str, engines: contextlib.ExitStack
) -> AsyncIterator[Session]:
    """Opens the engines of a run and closes them, whatever happens; `engines` closes the rest."""
    session = await asyncio.to_thread(_open, job, ledger, driver, engines)
    heartbeat = asyncio.create_task(_heartbeat(session))
    try:
        yield session
    finally:
        heartbeat.cancel()
        await session.evaluator.aclose()
        await asyncio.to_thread(session.index.close)
        with contextlib.suppress(asyncio.CancelledError):
            await heartbeat


def _open(job: Job, ledger: Ledger, driver: str, engines: contextlib.ExitStack) -> Session:
    run_dir = job.home / "runs" / job.run.id
    settings = job.settings
    analyst = Analyst()
    recorded = recorded_run(job.home, job.run.id)
    if recorded is None:
        resolved = engines.enter_context(at_hand(resolve_model(settings), settings))
        architect, theorist = create_chairs(settings, analyst, resolved)
    else:
        resolved = Resolved(endpoint=None, words="A replay: what was said then is said again.")
        architect, theorist = replayed_chairs(
            recorded.calls,
            analyst,
            prompt_tokens=settings.prompt_tokens,
            already=sum(call.chair != "chat" for call in ledger.steps.calls(job.run.id)),
            chairs=settings.model_chairs,
        )
    evaluator = create_evaluator(
        job.task,
        job.space,
        run_dir=run_dir,
        workers=settings.workers,
        deadline_s=settings.deadline_s,
        memory_mib=settings.memory_mib,
    )
    reader = Reader(
        ledger=ledger,
        run=job.run,
        space=job.space,
        task=job.task,
        shows_proxies=architect is not analyst or theorist is not analyst,
        recorded=recorded,
    )
    session = Session(
        reader=reader,
        index=PrincipleIndex(job.home, ledger),
        run_dir=run_dir,
        evaluator=evaluator,
        architect=architect,
        theorist=theorist,
        policy=settings.policy(),
        driver=driver,
        batch=evaluator.slots if architect is analyst else max(evaluator.slots, MODEL_BATCH),
        asks=job.ask is not None,
        listener=job.listener,
        only_wishes=job.only_wishes,
        wall_before_s=reader.account().wall_s,
        stopping=job.stopping,
    )
    session.tell(
        EventKind.STARTED,
        f"run {job.run.id}: {job.task.name} on {job.space.name}. {resolved.words}",
        run=job.run.id,
        space=job.space.name,
        task=job.task.name,
        metric=job.task.metric,
        model=resolved.model or "analyst",
        budget=job.run.budget,
        workers=evaluator.slots,
    )
    return session


async def _heartbeat(session: Session) -> None:
    """Renews the lease; where another process has taken it, stops this one."""
    try:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if await asyncio.to_thread(session.beat):
                session.stopping.set()
            spent = await asyncio.to_thread(session.account)
            await asyncio.to_thread(session.foresight.warn, session, spent)
    except VitruviusError:
        session.stopping.set()
        raise


async def _search(job: Job, session: Session) -> None:
    """Runs the graph; answers its questions; keeps the last checkpoints only."""
    path = job.home / "checkpoints.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()  # thinning may come before the first checkpoint
        graph = create_search_graph(saver)
        config: Any = traced_as(job.run) | {
            "configurable": {"thread_id": job.run.id},
            "recursion_limit": MOST_STEPS,
        }
        thinning = asyncio.create_task(_thin_regularly(saver.conn, job.run.id))
        try:
            given: Any = {"run_id": job.run.id}
            while given is not None:
                state = await graph.ainvoke(given, config, context=session, durability="sync")
                given = await _answer(job, state)
        finally:
            thinning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await thinning
            await thin_checkpoints(saver.conn, job.run.id)


async def _answer(job: Job, state: Mapping[str, Any]) -> Any:
    """Returns what resumes the graph after its question; None where it asked none."""
    questions = state.get("__interrupt__")
    if not questions or job.ask is None:
        return None
    asking = asyncio.create_task(asyncio.to_thread(job.ask, questions[0].value))
    stop = asyncio.create_task(job.stopping.wait())
    await asyncio.wait({asking, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not asking.done():
        return None  # stopped from elsewhere while the person thinks
    answer = _checked(asking.result())
    if answer["approved"] is None:
        job.stopping.set()  # not now: the next driver that can ask asks again
        return None
    return Command(resume=answer)


def _checked(answer: Any) -> dict[str, Any]:
    """Returns what a person answered.

    Raises:
        ConfigError: it is no answer.
    """
    is_answer = isinstance(answer, Mapping) and "approved" in answer
    if not is_answer or not isinstance(answer["approved"], bool | None):
        raise ConfigError(
            "ask must return {'approved': True}, with another 'call' or without, or "
            "{'approved': False, 'reason': ...}, or {'approved': None} to leave the question open, "
            f"got {answer!r}"
        )
    return dict(answer)


async def _thin_regularly(conn: aiosqlite.Connection, thread_id: str) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        await thin_checkpoints(conn, thread_id)


async def thin_checkpoints(conn: aiosqlite.Connection, thread_id: str) -> None:
    """Deletes all but the last checkpoints of a thread: the ledger alone suffices to resume."""
    cursor = await conn.execute(
        "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ? "
        "ORDER BY checkpoint_id DESC LIMIT 1 OFFSET ?",
        (thread_id, KEPT_CHECKPOINTS - 1),
    )
    row = await cursor.fetchone()
    await cursor.close()
    if row is None:
        return
    for table in ("writes", "checkpoints"):
        await conn.execute(
            f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ?",
            (thread_id, row[0]),
        )
    await conn.commit()
