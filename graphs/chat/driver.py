"""One process in one conversation: the graph with its checkpoints, asked a turn at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

from vitruvius.agents.chat.tools import check_call
from vitruvius.agents.chat.voice import create_speaker
from vitruvius.budget import parse_budget
from vitruvius.errors import ConfigError, ToolError
from vitruvius.events import Event
from vitruvius.graphs.chat import act as chat_acting
from vitruvius.graphs.chat.graph import create_chat_graph
from vitruvius.graphs.chat.session import ChatSession, Told
from vitruvius.graphs.drive.driver import thin_checkpoints
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.records import RunStatus
from vitruvius.settings import Settings
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task

RECURSION = 200  # graph steps in one turn, far above what its rounds of calls take
MOST_CHARS = 20_000  # of a person's message

Payload = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TalkJob:
    """What is needed to talk about a run: its row's objects, and what this process can do."""

    run_id: str
    thread: str
    home: Path
    settings: Settings
    space: SearchSpace
    task: Task
    carry: Callable[[Callable[[Event], None]], RunStatus]
    stop: Callable[[], None]
    steer: Callable[[Mapping[str, Any]], Wish]
    fork: Callable[[int | None, str | None], str]
    tell: Callable[[Told], None]


class Conversation:
    """A thread of conversation that is open in this process.

    Each method returns the question that the person must answer before the turn goes on, or None
    where the turn is over.
    """

    def __init__(self, session: ChatSession, saver: AsyncSqliteSaver) -> None:
        self.session = session
        self._saver = saver
        self._graph = create_chat_graph(saver)
        self._thread_id = f"chat/{session.run_id}/{session.thread}"
        self._config: Any = {
            "configurable": {"thread_id": self._thread_id},
            "recursion_limit": RECURSION,
        }

    async def send(self, text: str) -> Payload | None:
        """Stores what the person says and lets the agent answer."""
        text = text.strip()[:MOST_CHARS]
        if not text:
            raise ToolError("there is nothing to answer: the question is empty")
        await self.session.call(self.session.add, "user", text, {})
        return await self._go(self._input())

    async def take_up(self) -> Payload | None:
        """Goes on where the last process that talked here was stopped, if in mid-turn."""
        turn = await self.session.call(self.session.turn)
        if turn.is_over:
            return None
        state = await self._graph.aget_state(self._config)
        questions = [i for task in state.tasks for i in task.interrupts]
        if questions:
            return dict(questions[0].value)
        return await self._go(None if state.next else self._input())

    async def answer(self, said: Mapping[str, Any]) -> Payload | None:
        """Takes the person's answer to the open question.

        Raises:
            ConfigError: it says neither yes nor no.
            ToolError: the call, as edited, cannot be carried out; the question stays open.
        """
        if not isinstance(said.get("approved"), bool):
            raise ConfigError(
                "the answer must be {'approved': True}, with or without an edited 'call', or "
                f"{{'approved': False, 'reason': ...}}, got {dict(said)!r:.200}"
            )
        if said["approved"] and said.get("call") is not None:
            checked = await asyncio.to_thread(check_call, said["call"], self.session.space)
            said = {**said, "call": checked}
        return await self._go(Command(resume=dict(said)))

    async def tell_closed(self) -> None:
        """Tells what became of wishes that waited for another process; between turns only."""
        turn = await self.session.call(self.session.turn)
        if turn.is_over:
            await self.session.call(chat_acting.tell_closed, self.session)

    async def use(self, settings: Settings, engines: ExitStack) -> str:
        """Lets another model speak from now on; returns who it is, in a sentence."""
        speaker = await asyncio.to_thread(create_speaker, settings, engines)
        self.session.speaker = speaker
        return speaker.words

    def _input(self) -> dict[str, str]:
        return {"run_id": self.session.run_id, "thread": self.session.thread}

    async def _go(self, given: Any) -> Payload | None:
        try:
            state = await self._graph.ainvoke(
                given, self._config, context=self.session, durability="sync"
            )
        finally:
            await thin_checkpoints(self._saver.conn, self._thread_id)
        questions = state.get("__interrupt__")
        return dict(questions[0].value) if questions else None


@asynccontextmanager
async def open_conversation(job: TalkJob) -> AsyncIterator[Conversation]:
    """Opens ledger, checkpoints and model; closes them whatever happens.

    Raises:
        ConfigError: the model cannot be had.
    """
    engines, above = ExitStack(), job.settings.ask_above
    key = job.settings.api_key
    secrets = [key.get_secret_value()] if key else []
    try:
        ledger = await asyncio.to_thread(Ledger.open, job.home, secrets=secrets)
        engines.callback(ledger.close)
        speaker = await asyncio.to_thread(create_speaker, job.settings, engines)
        session = ChatSession(
            ledger=ledger,
            run_id=job.run_id,
            thread=job.thread,
            space=job.space,
            task=job.task,
            speaker=speaker,
            carry=job.carry,
            stop=job.stop,
            steer=job.steer,
            fork=job.fork,
            tell=job.tell,
            ask_above=None if above is None else parse_budget(above),
        )
        async with AsyncSqliteSaver.from_conn_string(str(job.home / "checkpoints.db")) as saver:
            await saver.setup()
            yield Conversation(session, saver)
    finally:
        await asyncio.to_thread(engines.close)
