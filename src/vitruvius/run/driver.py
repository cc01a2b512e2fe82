"""Driving a run: on until it is done or stopped, from this process, with Ctrl-C answered."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitruvius.errors import ConfigError, RunHeld
from vitruvius.events import Ask, Event, EventKind, Listener
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.run.background import loop, submit
from vitruvius.run.facts import RunFacts
from vitruvius.run.short_first import driven, shortened
from vitruvius.settings import OF_THE_PROCESS, load_settings
from vitruvius.spaces.registry import source_hash
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    from vitruvius.graphs.drive.driver import Job, Through

_LEAVE = 130  # exit code after an interrupt
_SIGNAL_S = 0.2  # after which a signal that went to another thread is noticed


def ignore(event: Event) -> None:
    """Listens to nothing."""


class RunDriver(RunFacts):
    """One run of the ledger, and the way on with it."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        api_key: str | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the handle; `own` are settings given by hand that are never stored."""
        super().__init__(run_id, home, space=space, task=task, api_key=api_key)
        self._own = dict(own or {}) | ({"api_key": api_key} if api_key else {})
        self._stopping: asyncio.Event | None = None
        self._short: RunDriver | None = None  # while its trainings are under way

    def resume(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Drives the run on until it is done or stopped, and returns which.

        The first Ctrl-C stops it so that it can be resumed; a second ends the process at once.

        Raises:
            RunHeld: another live process drives it.
            ConfigError: its space or task has changed since it was started.
            VitruviusError: it could not go on; what was finished is kept.
        """
        self._space, self._task = space or self._space, task or self._task
        future = submit(self._drive(on_event, ask, settings))
        try:
            with _interrupts(self._stop_here):
                return _awake(future)
        except KeyboardInterrupt:  # of a handler that is not Python's own
            self._stop_here()
            return _wait_or_leave(future)

    async def aresume(
        self, *, on_event: Listener = ignore, ask: Ask | None = None, **settings: Any
    ) -> RunStatus:
        """Does what `resume` does, awaited; cancelling it stops the run."""
        future = submit(self._drive(on_event, ask, settings))
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            self._stop_here()
            await asyncio.wrap_future(future)
            raise

    def stop(self) -> None:
        """Asks whoever drives the run to stop; it does so within seconds."""
        with Ledger.open(self.home) as ledger:
            ledger.runs.request_stop(driven(ledger, ledger.runs.get(self.id)).id)
        self._stop_here()

    def _stop_here(self) -> None:
        if self._short is not None:
            self._short._stop_here()
        if self._stopping is not None:
            loop().call_soon_threadsafe(self._stopping.set)

    async def drive_through(
        self, through: Through, *, on_event: Listener = ignore, asks: bool = False
    ) -> RunStatus:
        """Drives the run on the caller's own event loop, its graph run by the caller.

        Args:
            through: runs the search graph of a job in an opened session.
            on_event: called with each event, from any thread.
            asks: whether costly decisions interrupt that graph.
        """
        ask = _answered_elsewhere if asks else None
        return await self._drive(on_event, ask, {}, through=through)

    def carry_out(
        self, *, on_event: Listener = ignore, ask: Ask | None = None, **settings: Any
    ) -> RunStatus:
        """Drives the run only until no wish is open, then lets go of it, and returns its status.

        A decision that is under way comes first. Where another live process drives the run, that
        one takes the wishes up; the event says which.

        Raises:
            ConfigError: as `resume`.
        """
        future = submit(self._carry_out(on_event, ask, settings))
        try:
            with _interrupts(self._stop_here):
                return _awake(future)
        except KeyboardInterrupt:
            self._stop_here()
            return _wait_or_leave(future)

    async def _carry_out(
        self, listener: Listener, ask: Ask | None, given: dict[str, Any]
    ) -> RunStatus:
        wishes = await asyncio.to_thread(self._open_wishes)
        if not wishes:
            return (await asyncio.to_thread(lambda: self.record)).status
        try:
            return await self._drive(listener, ask, given, only_wishes=True)
        except RunHeld as held:
            text = f"{len(wishes)} open wishes wait for the process that drives the run: {held}"
            listener(Event(kind=EventKind.WISH, text=text, data={"status": WishStatus.OPEN}))
            return RunStatus.RUNNING

    def _open_wishes(self) -> list[Wish]:
        with Ledger.open(self.home) as ledger:
            return ledger.requests.wishes(self.id, is_open=True)

    async def _drive(
        self,
        listener: Listener,
        ask: Ask | None,
        given: dict[str, Any],
        *,
        only_wishes: bool = False,
        through: Through | None = None,
    ) -> RunStatus:
        record = await asyncio.to_thread(lambda: self.record)
        if record.kind == RunKind.LEARN:
            from vitruvius.graphs.offline.learning import learn_on

            await asyncio.to_thread(learn_on, record, self.home, listener)
            return RunStatus.DONE
        self._stopping = asyncio.Event()
        try:
            if record.parent is not None:
                status = await self._drive_short(
                    record, record.parent, listener, ask, given, through
                )
                if status != RunStatus.DONE:
                    return status
            engine = await asyncio.to_thread(_engine)  # imports block: never on the loop
            job = await asyncio.to_thread(self._job, listener, ask, given, engine.Job)
            job = replace(job, only_wishes=only_wishes, through=through)
            ended: RunStatus = await engine.drive(job)
            return ended
        finally:
            self._stopping = None

    async def _drive_short(
        self,
        record: Run,
        short: str,
        listener: Listener,
        ask: Ask | None,
        given: dict[str, Any],
        through: Through | None,
    ) -> RunStatus:
        """Drives the short trainings that come first to their end, unless that is done."""
        how = str(record.settings["fidelity_first"])
        task, space = await asyncio.to_thread(lambda: shortened(self.task, self.space, how))
        own = self._own | {"on_end": ""}  # it is no end of the run that was asked for
        before = self._short = RunDriver(short, self.home, space=space, task=task, own=own)
        given = {name: value for name, value in given.items() if name != "on_end"}
        try:
            status = (await asyncio.to_thread(lambda: before.record)).status
            if status != RunStatus.DONE:
                status = await before._drive(listener, ask, given, through=through)
            return status
        finally:
            self._short = None

    def _job(
        self, listener: Listener, ask: Ask | None, given: dict[str, Any], make: type[Job]
    ) -> Job:
        record = self.record
        if record.kind == RunKind.IMPORT:
            raise ConfigError(f"run {self.id} stands for an import: there is nothing to resume")
        if record.status == RunStatus.DONE:
            raise ConfigError(f"run {self.id} is done; see `vitruvius report {self.id}`")
        self._check_sources(record)
        stored = {n: v for n, v in record.settings.items() if n not in ("home", *OF_THE_PROCESS)}
        settings = load_settings(
            {**stored, **self._own, "home": self.home}
            | {name: value for name, value in given.items() if value is not None}
        )
        assert self._stopping is not None
        return make(
            run=record,
            home=self.home,
            settings=settings,
            space=self.space,
            task=self.task,
            listener=listener,
            ask=ask,
            stopping=self._stopping,
        )

    def _check_sources(self, record: Run) -> None:
        now = source_hash(record.space_ref) | source_hash(record.task_ref)
        changed = [path for path, digest in record.sources.items() if now.get(path) != digest]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)} changed since run {self.id} was started, so its results "
                "would not compare; restore the file, or start a new run"
            )
        for what, expected, made in (
            ("space", record.space_id, self.space.id),
            ("task", record.task_id, self.task.id),
        ):
            if expected != made:
                raise ConfigError(
                    f"run {self.id} was started on {what} {expected}, but {made} was found; "
                    "give the same one, or start a new run"
                )


def _answered_elsewhere(question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise AssertionError(f"the graph's own caller answers {question}")


def _engine() -> ModuleType:
    from vitruvius.graphs.drive import driver

    return driver


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first Ctrl-C, and ends the process, workers included, at the second.

    Python's own handler raises instead, and what is raised while the main thread collects garbage
    is lost. A handler of somebody else's stays.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    answers = iter([stop])

    def answer(*_: object) -> None:
        next(answers, lambda: os._exit(_LEAVE))()

    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _wait_or_leave(future: Future[RunStatus]) -> RunStatus:
    """Waits for a run that is stopping; a second Ctrl-C ends the process, workers included."""
    try:
        return _awake(future)
    except KeyboardInterrupt:
        os._exit(_LEAVE)


def _awake(future: Future[RunStatus]) -> RunStatus:
    """Waits in slices: a signal that another thread receives does not wake this one."""
    while not wait([future], timeout=_SIGNAL_S).done:
        pass
    return future.result()
