"""What the nodes of the chat graph work with, and where a turn stands by its messages alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from vitruvius.agents.chat.voice import Speaker
from vitruvius.budget import Budget
from vitruvius.events import Event
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Message, Wish
from vitruvius.memory.records import RunStatus
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.questions.book import Book

MOST_READ = 400  # messages of a thread that are looked at: far more than a prompt holds
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a door is told while a turn goes on.

    `piece`: words of the answer as they come. `call`: a tool that is about to be used. `message`:
    one was stored. `event`: what the run does while a wish is carried out.
    """

    kind: Literal["piece", "call", "message", "event"]
    text: str
    message: Message | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A question and what has been said and done about it so far."""

    messages: Sequence[Message]  # of the whole thread

    @property
    def question(self) -> Message | None:
        """The person's last message."""
        return next((m for m in reversed(self.messages) if m.role == "user"), None)

    @property
    def since(self) -> list[Message]:
        """What came after the question."""
        asked = self.question
        return [m for m in self.messages if asked is not None and m.id > asked.id]

    @property
    def reply(self) -> Message | None:
        """The agent's last message in this turn."""
        return next((m for m in reversed(self.since) if m.role == "agent"), None)

    @property
    def rounds(self) -> int:
        """How often the agent has spoken in this turn."""
        return sum(m.role == "agent" for m in self.since)

    @property
    def pending(self) -> dict[str, Any] | None:
        """The next call of the reply that has no result yet."""
        if self.reply is None:
            return None
        calls = self.reply.data.get("calls", ())
        done = sum(m.role == "tool" and m.id > self.reply.id for m in self.since)
        return dict(calls[done]) if done < len(calls) else None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to say: the analyst's calls speak for themselves."""
        if self.question is None:
            return True
        if self.reply is None or self.pending is not None:
            return False
        return not self.reply.data.get("calls") or not self.reply.data.get("model")


@dataclass(kw_only=True)
class ChatSession:
    """One process in one thread of conversation. What must survive it is in the ledger."""

    ledger: Ledger
    run_id: str
    thread: str
    space: SearchSpace
    task: Task
    speaker: Speaker
    carry: Callable[[Callable[[Event], None]], RunStatus]  # drives the run until no wish is open
    stop: Callable[[], None]  # of that driving
    steer: Callable[[Mapping[str, Any]], Wish]  # leaves a wish with the run
    fork: Callable[[int | None, str | None], str]  # returns the new run's id
    tell: Callable[[Told], None]
    ask_above: Budget | None = None  # a price; None: every training and cut is asked about

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a blocking function off the event loop."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def book(self) -> Book:
        """Returns the run as it stands, to be read."""
        calls = [c for c in self.ledger.steps.calls(self.run_id) if c.chair == "chat"]
        cost = {
            "calls": len(calls),
            "tokens": sum(c.tokens_in + c.tokens_out for c in calls),
        }
        return Book(
            ledger=self.ledger,
            run_id=self.run_id,
            space=self.space,
            task=self.task,
            calls=cost if calls else {},
        )

    def turn(self) -> Turn:
        """Returns where the thread stands."""
        return Turn(
            messages=self.ledger.requests.messages(self.run_id, self.thread, last=MOST_READ)
        )

    def add(
        self, role: Literal["user", "agent", "tool"], text: str, data: Mapping[str, Any]
    ) -> Message:
        """Stores a message of the thread, tells the door, and returns it."""
        message = self.ledger.requests.add_message(self.run_id, self.thread, role, text, data)
        if role != "user":
            self.tell(Told(kind="message", text=text, message=message))
        return message
