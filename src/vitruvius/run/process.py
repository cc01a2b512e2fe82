"""The way on with a run: driven to its end from this process, in front of its caller or behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitruvius.errors import ConfigError, RunHeld
from vitruvius.events import Ask, Event, EventKind, Listener, ignore
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish, WishStatus
from vitruvius.memory.ledger.runs import is_live
from vitruvius.memory.ledger.schema import now
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.notebook.live import Panel, both
from vitruvius.run import detached
from vitruvius.run.background import SLICE_S, finish, first_interrupt, in_kernel, loop, submit
from vitruvius.run.facts import RunFacts
from vitruvius.run.short_first import driven, shortened
from vitruvius.settings import OF_THE_PROCESS, load_settings
from vitruvius.spaces.registry import source_hash

if TYPE_CHECKING:
    from vitruvius.graphs.drive.driver import Job, Through

_POLL_S = 1.0  # how often the ledger is asked about a run that another process drives


class RunProcess:
    """Drives a run from this process, hands it to one of its own, waits for it, stops it."""

    def __init__(self, facts: RunFacts, own: Mapping[str, Any]) -> None:
        """Drives nothing yet; `own` are settings given by hand that are never stored."""
        self._facts, self._own = facts, dict(own)
        self._stopping: asyncio.Event | None = None
        self._short: RunProcess | None = None  # while its trainings are under way
        self._driving: Future[RunStatus] | None = None

    def resume(
        self,
        on_event: Listener,
        ask: Ask | None,
        progress: bool | None,
        settings: Mapping[str, Any],
    ) -> RunStatus:
        """Does what `SearchRun.resume` says."""
        return self._in_front(lambda heard: self._drive(heard, ask, settings), on_event, progress)

    async def aresume(
        self,
        on_event: Listener,
        ask: Ask | None,
        progress: bool | None,
        settings: Mapping[str, Any],
    ) -> RunStatus:
        """Does what `SearchRun.aresume` says."""
        with self._shown(on_event, progress) as listener:
            future = submit(self._drive(listener, ask, settings))
            try:
                # Shielded: it is to stop in order, its report written, not to be torn in mid-step.
                return await asyncio.shield(asyncio.wrap_future(future))
            except asyncio.CancelledError:
                self.stop_here()
                await asyncio.wrap_future(future)
                raise

    def start_here(
        self,
        on_event: Listener,
        ask: Ask | None,
        progress: bool | None,
        settings: Mapping[str, Any],
    ) -> None:
        """Does what `SearchRun.start_here` says."""
        self._launch(lambda heard: self._drive(heard, ask, settings), on_event, progress)

    def start(self, settings: Mapping[str, Any]) -> int:
        """Does what `SearchRun.start` says."""
        given = self._own | {n: v for n, v in settings.items() if v is not None}
        return detached.start(self._facts.record, self._facts.home, given)

    async def drive_through(self, through: Through, on_event: Listener, asks: bool) -> RunStatus:
        """Does what `SearchRun.drive_through` says."""
        ask = _answered_elsewhere if asks else None
        return await self._drive(on_event, ask, {}, through=through)

    def carry_out(
        self, on_event: Listener, ask: Ask | None, settings: Mapping[str, Any]
    ) -> RunStatus:
        """Does what `SearchRun.carry_out` says."""
        return self._in_front(lambda heard: self._carry_out(heard, ask, settings), on_event, None)

    def stop(self) -> None:
        """Does what `SearchRun.stop` says."""
        # By the ledger first, which reaches any process; this one need not wait for a heartbeat.
        with Ledger.open(self._facts.home) as ledger:
            ledger.runs.request_stop(driven(ledger, ledger.runs.get(self._facts.id)).id)
        self.stop_here()

    def stop_here(self) -> None:
        """Stops what this handle drives, if it drives; no other process is asked."""
        if self._short is not None:
            self._short.stop_here()
        if self._stopping is not None:
            loop().call_soon_threadsafe(self._stopping.set)

    def wait(self, timeout: float | None) -> RunStatus:
        """Does what `SearchRun.wait` says."""
        until = None if timeout is None else time.monotonic() + timeout
        step = SLICE_S if self._driving is not None else _POLL_S
        while self.is_running and (until is None or time.monotonic() < until):
            time.sleep(step if until is None else min(step, max(0.0, until - time.monotonic())))
        if self._driving is not None and self._driving.done():
            return self._driving.result()
        return self._facts.record.status

    @property
    def is_running(self) -> bool:
        """Whether the run is being driven, by this process or by another."""
        if self._driving is not None and not self._driving.done():
            return True
        run = self._facts.record
        held = run.status == RunStatus.RUNNING and run.driver is not None
        return held and is_live(run.host, run.pid, run.heartbeat, now())

    def _in_front(
        self,
        drive: Callable[[Listener], Coroutine[Any, Any, RunStatus]],
        on_event: Listener,
        progress: bool | None,
    ) -> RunStatus:
        """Drives and waits; Ctrl-C stops the run first, and leaves a notebook its variables."""
        if in_kernel():
            self._launch(drive, on_event, progress)
            with first_interrupt(self.stop_here):
                return self.wait(None)
        with self._shown(on_event, progress) as listener:
            return finish(drive(listener), self.stop_here)

    def _launch(
        self,
        drive: Callable[[Listener], Coroutine[Any, Any, RunStatus]],
        on_event: Listener,
        progress: bool | None,
    ) -> None:
        if self._driving is not None and not self._driving.done():
            raise ConfigError(f"run {self._facts.id} is being driven here already; see run.wait()")
        shown = self._shown(on_event, progress)
        listener = shown.__enter__()  # left when the run ends, by the thread that drives it

        def close(future: Future[RunStatus]) -> None:
            error = None if future.cancelled() else future.exception()
            shown.__exit__(type(error) if error else None, error, None)

        self._driving = submit(drive(listener))
        self._driving.add_done_callback(close)

    @contextmanager
    def _shown(self, on_event: Listener, progress: bool | None) -> Iterator[Listener]:
        """Yields a listener that also shows how the run goes, if that is wanted."""
        if not (in_kernel() and on_event is ignore if progress is None else progress):
            yield on_event
            return
        with Ledger.open(self._facts.home) as ledger:
            panel = Panel(self._facts.id, ledger.trials.of(self._facts.id))
        try:
            yield panel if on_event is ignore else both(panel, on_event)
        except BaseException as error:
            panel.end(str(error) or type(error).__name__)
            raise
        panel.end(self._facts.record.status)

    async def _carry_out(
        self, listener: Listener, ask: Ask | None, given: Mapping[str, Any]
    ) -> RunStatus:
        wishes = await asyncio.to_thread(self._open_wishes)
        if not wishes:
            return (await self._record()).status
        try:
            return await self._drive(listener, ask, given, only_wishes=True)
        except RunHeld as held:
            text = f"{len(wishes)} open wishes wait for the process that drives the run: {held}"
            listener(Event(kind=EventKind.WISH, text=text, data={"status": WishStatus.OPEN}))
            return RunStatus.RUNNING

    def _open_wishes(self) -> list[Wish]:
        with Ledger.open(self._facts.home) as ledger:
            return ledger.requests.wishes(self._facts.id, is_open=True)

    async def _record(self) -> Run:
        return await asyncio.to_thread(lambda: self._facts.record)

    async def _drive(
        self,
        listener: Listener,
        ask: Ask | None,
        given: Mapping[str, Any],
        *,
        only_wishes: bool = False,
        through: Through | None = None,
    ) -> RunStatus:
        record = await self._record()
        if record.kind == RunKind.LEARN:
            from vitruvius.graphs.offline.learning import learn_on

            await asyncio.to_thread(learn_on, record, self._facts.home, listener)
            return RunStatus.DONE
        self._stopping = asyncio.Event()  # anew: a stop of an earlier drive is not one of this
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
        given: Mapping[str, Any],
        through: Through | None,
    ) -> RunStatus:
        """Drives the short trainings that come first to their end, unless that is done."""
        how, facts = str(record.settings["fidelity_first"]), self._facts
        task, space = await asyncio.to_thread(lambda: shortened(facts.task, facts.space, how))
        own = self._own | {"on_end": ""}  # it is no end of the run that was asked for
        before = RunProcess(RunFacts(short, facts.home, space=space, task=task), own)
        self._short = before
        given = {name: value for name, value in given.items() if name != "on_end"}
        try:
            status = (await before._record()).status
            if status != RunStatus.DONE:
                status = await before._drive(listener, ask, given, through=through)
            return status
        finally:
            self._short = None

    def _job(
        self, listener: Listener, ask: Ask | None, given: Mapping[str, Any], make: type[Job]
    ) -> Job:
        facts = self._facts
        record = facts.record
        if record.kind == RunKind.IMPORT:
            raise ConfigError(f"run {facts.id} stands for an import: there is nothing to resume")
        if record.status == RunStatus.DONE:
            raise ConfigError(f"run {facts.id} is done; see `vitruvius report {facts.id}`")
        self._check_sources(record)
        stored = {n: v for n, v in record.settings.items() if n not in ("home", *OF_THE_PROCESS)}
        settings = load_settings(  # the home is where the ledger lies now: it may have been moved
            {**stored, **self._own, "home": facts.home}
            | {name: value for name, value in given.items() if value is not None}
        )
        assert self._stopping is not None
        return make(
            run=record,
            home=facts.home,
            settings=settings,
            space=facts.space,
            task=facts.task,
            listener=listener,
            ask=ask,
            stopping=self._stopping,
        )

    def _check_sources(self, record: Run) -> None:
        # Files first, as the sentence can name them; then ids, which also tell objects apart.
        now = source_hash(record.space_ref) | source_hash(record.task_ref)
        changed = [path for path, digest in record.sources.items() if now.get(path) != digest]
        if changed:
            raise ConfigError(
                f"{', '.join(changed)} changed since run {record.id} was started, so its results "
                "would not compare; restore the file, or start a new run"
            )
        for what, expected, made in (
            ("space", record.space_id, self._facts.space.id),
            ("task", record.task_id, self._facts.task.id),
        ):
            if expected != made:
                raise ConfigError(
                    f"run {record.id} was started on {what} {expected}, but {made} was found; "
                    "give the same one, or start a new run"
                )


def _answered_elsewhere(question: Mapping[str, Any]) -> Mapping[str, Any]:
    raise AssertionError(f"the graph's own caller answers {question}")


def _engine() -> ModuleType:
    from vitruvius.graphs.drive import driver

    return driver
