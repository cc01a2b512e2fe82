"""A conversation about a run, for doors that wait: a turn at a time, questions answered between."""

from __future__ import annotations

import asyncio
import fcntl
import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import AsyncExitStack, ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vitruvius.errors import ConfigError, ToolError
from vitruvius.events import Ask, Event
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.background import awake, submit
from vitruvius.settings import Settings, load_settings

if TYPE_CHECKING:
    from vitruvius.graphs.chat.driver import Conversation
    from vitruvius.graphs.chat.session import Told
    from vitruvius.memory.ledger.requests import Message
    from vitruvius.memory.records import RunStatus
    from vitruvius.run.handle import SearchRun

T = TypeVar("T")
Payload = Mapping[str, Any]


class Talk:
    """An open conversation. Each step returns a question to the person, or None: turn over.

    Ctrl-C while it waits stops the answer or the training under way; what was said stays.
    """

    def __init__(
        self,
        run: SearchRun,
        thread: str | None = None,
        *,
        tell: Callable[[Told], None] | None = None,
        **settings: Any,
    ) -> None:
        """Names the thread; `thread` None begins a new one. `with` opens it.

        Raises:
            ConfigError: a setting that cannot be used.
        """
        self.run = run
        self.thread = _checked(thread) if thread else new_thread(run)
        self.settings = chat_settings(run, settings)
        self._tell = tell or (lambda told: None)
        self._stack, self._engines, self._locks = AsyncExitStack(), ExitStack(), ExitStack()
        self._talk: Conversation | None = None

    def __enter__(self) -> Self:
        lock = self._locks.enter_context(_held(self.run, self.thread))
        if not lock:
            raise ConfigError(
                f"thread {self.thread} of run {self.run.id} is open in another process; leave it "
                "there, or begin a new one"
            )
        try:
            self._wait(self._open())
        except BaseException:
            self._locks.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wait(self._stack.aclose())  # before the models that it was switched to
        self._engines.close()
        self._locks.close()  # last: until all is written the thread is this process' own

    @property
    def words(self) -> str:
        """Who answers, in a sentence."""
        return self._open_talk.session.speaker.words

    def send(self, text: str) -> Payload | None:
        """Asks something; returns what must be approved first, or None where it is answered."""
        return self._wait(self._open_talk.send(text))

    def take_up(self) -> Payload | None:
        """Goes on where an earlier session was stopped in mid-turn; asks its open question."""
        return self._wait(self._open_talk.take_up())

    def answer(self, said: Mapping[str, Any]) -> Payload | None:
        """Answers the open question: approved, approved with an edited call, or refused.

        Raises:
            ToolError: the edited call cannot be carried out; the question stays open.
        """
        return self._wait(self._open_talk.answer(said))

    def tell_closed(self) -> None:
        """Tells what became, meanwhile, of wishes that waited for another process."""
        self._wait(self._open_talk.tell_closed())

    def use_model(self, name: str) -> str:
        """Lets another model answer from now on; returns who, in a sentence.

        Raises:
            ConfigError: it cannot be had.
        """
        given = self.settings.model_dump(exclude={"model"}) | {"model": name}
        settings = load_settings(given)  # a mistake is told before the old model is let go of
        words = self._wait(self._open_talk.use(settings, self._engines))
        self.settings = settings
        return words

    def last_messages(self, count: int) -> list[Message]:
        """Returns the latest messages of the thread."""
        with Ledger.open(self.run.home) as ledger:
            return ledger.requests.messages(self.run.id, self.thread, last=count)

    def last_words(self) -> str:
        """Returns what the last turn said: its answer, with what was found or done before it."""
        from vitruvius.tools.questions.book import words_of

        turn = self._open_talk.session.turn()
        said = [m for m in turn.since if m.role == "agent" or not self._is_told_again(turn.since)]
        return "\n".join(text for m in said if (text := words_of(m)))

    @staticmethod
    def _is_told_again(messages: list[Any]) -> bool:
        """Whether a model has put the results of its tools into words."""
        return bool(messages) and messages[-1].role == "agent" and bool(messages[-1].text)

    @property
    def _open_talk(self) -> Conversation:
        assert self._talk is not None
        return self._talk

    async def _open(self) -> None:
        def heavy() -> Any:
            from vitruvius.graphs.chat import driver as chat_driver

            return chat_driver

        engine = await asyncio.to_thread(heavy)  # imports block: never on the loop
        job = await asyncio.to_thread(self._job, engine.TalkJob)
        self._talk = await self._stack.enter_async_context(engine.open_conversation(job))

    def _job(self, make: Callable[..., Any]) -> Any:
        return make(
            run_id=self.run.id,
            thread=self.thread,
            home=self.run.home,
            settings=self.settings,
            space=self.run.space,
            task=self.run.task,
            carry=self._carry,
            stop=self.run._process.stop_here,
            steer=self.run.steer,
            fork=lambda at, budget: self.run.fork(at, budget=budget).id,
            tell=self._tell,
        )

    def _carry(self, listener: Callable[[Event], None]) -> RunStatus:
        return self.run.carry_out(on_event=listener)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits; Ctrl-C cancels what is waited for."""
        future: Future[T] = submit(coroutine)
        try:
            awake(future)
        except KeyboardInterrupt:
            future.cancel()
            wait([future])  # what was said so far is written before the prompt comes back
            raise
        try:
            return future.result()
        except CancelledError:
            raise KeyboardInterrupt from None


def chat_settings(run: SearchRun, given: Mapping[str, Any]) -> Settings:
    """Returns the settings of a conversation: what is given, then those of the run."""
    record = run.record
    stored = {
        name: value for name, value in record.settings.items() if name in Settings.model_fields
    }
    # The key is not in the ledger: it comes from the handle, or from the settings of this process.
    stored |= {"home": run.home, "api_key": run._api_key}
    return load_settings(stored | {n: v for n, v in given.items() if v is not None})


def _checked(thread: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,40}", thread) or thread.startswith("."):
        raise ConfigError(f"a thread's name is letters, digits, - and _, got {thread!r:.60}")
    return thread


@contextmanager
def _held(run: SearchRun, thread: str) -> Iterator[bool]:
    """Yields whether this process has the thread to itself; the lock dies with the process."""
    folder = run.home / "runs" / run.id / "threads"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{thread}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def left_open(run: SearchRun) -> str | None:
    """Returns the thread that a process left in mid-turn last; None where there is none."""
    from vitruvius.graphs.chat.session import MOST_READ, Turn

    with Ledger.open(run.home) as ledger:
        for thread in ledger.requests.threads(run.id):
            if Turn(messages=ledger.requests.messages(run.id, thread, last=MOST_READ)).is_over:
                continue
            with _held(run, thread) as is_free:
                if is_free:  # else somebody is in the middle of it, in another process
                    return thread
    return None


def new_thread(run: SearchRun) -> str:
    """Returns the name of a thread that nobody has used."""
    with Ledger.open(run.home) as ledger:
        known = set(ledger.requests.threads(run.id))
    return next(name for n in range(1, len(known) + 2) if (name := f"chat-{n}") not in known)


def ask(run: SearchRun, question: str, thread: str, asker: Ask | None, settings: Any) -> str:
    """Returns the answer to one question; see `SearchRun.ask`."""
    with Talk(run, thread, **settings) as talk:
        for begin in (talk.take_up, lambda: talk.send(question)):  # the first: left by a kill
            pending = begin()
            while pending is not None:
                said = _answer(asker, pending)
                if said.get("approved", False) is None:
                    return f"The question stays open, and is asked again in thread {thread}."
                pending = talk.answer(said)
        return talk.last_words()


def _answer(asker: Ask | None, question: Payload) -> Mapping[str, Any]:
    if asker is None:
        reason = "nobody is there to approve it: give ask=, or use `vitruvius chat`"
        return {"approved": False, "reason": reason}
    said = asker(question)
    if not isinstance(said, Mapping):
        raise ToolError(f"ask must return a mapping with 'approved', got {said!r:.100}")
    return said
