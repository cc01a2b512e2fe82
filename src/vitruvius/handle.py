"""The handle of a run: what it found, and how to go on with it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitruvius.background import loop, submit
from vitruvius.best import BestNetwork
from vitruvius.errors import ConfigError, ToolError
from vitruvius.events import Ask, Event, Listener
from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import Run, RunKind, RunStatus
from vitruvius.memory.regions import region_of
from vitruvius.settings import OF_THE_PROCESS, load_settings
from vitruvius.short_first import driven, shortened
from vitruvius.spaces.region import Region
from vitruvius.spaces.registry import load_space, source_hash
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from vitruvius.graphs.driver import Job
    from vitruvius.tools.export import Exported
    from vitruvius.tools.report.facts import Report

_LEAVE = 130  # exit code after an interrupt
_SIGNAL_S = 0.2  # after which a signal that went to another thread is noticed


def ignore(event: Event) -> None:
    """Listens to nothing."""


class SearchRun:
    """One run of the ledger: what it found, and the handle to go on with it."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the handle; `own` are settings given by hand that are never stored."""
        self.id, self.home = run_id, home
        self._space, self._task, self._own = space, task, dict(own or {})
        self._stopping: asyncio.Event | None = None
        self._short: SearchRun | None = None  # while its trainings are under way

    def __repr__(self) -> str:
        record = self.record
        return f"SearchRun({self.id}: {record.task_name} on {record.space_name}, {record.status})"

    @property
    def record(self) -> Run:
        """The run's row as it stands."""
        with Ledger.open(self.home) as ledger:
            return ledger.run(self.id)

    @property
    def space(self) -> SearchSpace:
        """The space, made again from its reference where it was not given."""
        if self._space is None:
            self._space = load_space(self._reference("space"))
        return self._space

    @property
    def task(self) -> Task:
        """The task, made again from its reference where it was not given."""
        if self._task is None:
            self._task = load_task(self._reference("task"))
        return self._task

    def _reference(self, what: str) -> str:
        record = self.record
        ref = record.space_ref if what == "space" else record.task_ref
        if not ref:
            raise ConfigError(
                f"run {self.id} searched a {what} given as an object, which is never stored; "
                f"give it again: resume({what}=...)"
            )
        return ref

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

    def start(self, **settings: Any) -> int:
        """Drives the run on in a process of its own and returns its id once it holds the run.

        It outlives this process; what it prints is in `runs/<id>/driver.log`. Its working folder
        is this one.

        Raises:
            ConfigError: the run's space or task is an object, which no other process has.
            RunHeld: another live process drives it.
            VitruviusError: the process could not begin; the sentence is its own.
        """
        from vitruvius.detached import start_detached

        record = self.record
        for what, ref in (("space", record.space_ref), ("task", record.task_ref)):
            if not ref:
                raise ConfigError(
                    f"the {what} of run {self.id} is an object of this process, which another "
                    "does not have; name it as file.py:object, or drive the run here"
                )
        given = self._own | {n: v for n, v in settings.items() if v is not None}
        return start_detached(self.id, self.home, given)

    def follow(self, last: int | None = None) -> Iterator[Event]:
        """Yields the run's events, whoever drives it, and ends when the run does.

        All of the past come first, or the `last` few. Where the driver is dead, the last event
        is a warning with `dead` in its data.
        """
        from vitruvius.following import follow

        return follow(self.id, self.home, last)

    def stop(self) -> None:
        """Asks whoever drives the run to stop; it does so within seconds."""
        with Ledger.open(self.home) as ledger:
            ledger.request_stop(driven(ledger, ledger.run(self.id)).id)
        self._stop_here()

    def _stop_here(self) -> None:
        if self._short is not None:
            self._short._stop_here()
        if self._stopping is not None:
            loop().call_soon_threadsafe(self._stopping.set)

    async def _drive(self, listener: Listener, ask: Ask | None, given: dict[str, Any]) -> RunStatus:
        record = await asyncio.to_thread(lambda: self.record)
        if record.kind == RunKind.LEARN:
            from vitruvius.learning import learn_on

            await asyncio.to_thread(learn_on, record, self.home, listener)
            return RunStatus.DONE
        self._stopping = asyncio.Event()
        try:
            if record.parent is not None:
                status = await self._drive_short(record, record.parent, listener, ask, given)
                if status != RunStatus.DONE:
                    return status
            engine = await asyncio.to_thread(_engine)  # imports block: never on the loop
            job = await asyncio.to_thread(self._job, listener, ask, given, engine.Job)
            ended: RunStatus = await engine.drive(job)
            return ended
        finally:
            self._stopping = None

    async def _drive_short(
        self, record: Run, short: str, listener: Listener, ask: Ask | None, given: dict[str, Any]
    ) -> RunStatus:
        """Drives the short trainings that come first to their end, unless that is done."""
        how = str(record.settings["fidelity_first"])
        task, space = await asyncio.to_thread(lambda: shortened(self.task, self.space, how))
        own = self._own | {"on_end": ""}  # it is no end of the run that was asked for
        before = self._short = SearchRun(short, self.home, space=space, task=task, own=own)
        given = {name: value for name, value in given.items() if name != "on_end"}
        try:
            status = (await asyncio.to_thread(lambda: before.record)).status
            if status != RunStatus.DONE:
                status = await before._drive(listener, ask, given)
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

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: number, architecture, status, validation value, seed, origin, ..."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            trials = ledger.trials(self.id)
        columns = ("number", "origin", "status", "value", "seed", "fidelity", "train_s", "params",
                   "flops", "reused", "message")  # fmt: skip
        rows = [
            {**{name: getattr(trial, name) for name in columns}, "architecture": trial.architecture}
            for trial in trials
        ]
        return pd.DataFrame(rows, columns=[*columns, "architecture"]).set_index("number")

    @property
    def principles(self) -> pd.DataFrame:
        """One row per version that the run works with, and what its trials say of it."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            versions, latest = ledger.current(self.id), ledger.latest_evidence(self.id)
        rows = []
        for version in versions:
            evidence = latest.get((version.principle, version.version))
            rows.append(
                {
                    "name": version.name,
                    "statement": version.statement,
                    "rule": words(version.rule),
                    "author": version.author,
                    "standing": evidence.standing.value if evidence else "candidate",
                    "effect": evidence.effect if evidence else None,
                    "low": evidence.low if evidence else None,
                    "high": evidence.high if evidence else None,
                    "top_loss_high": evidence.top_loss_high if evidence else None,
                }
            )
        names = ("name", "statement", "rule", "author", "standing", "effect", "low", "high",
                 "top_loss_high")  # fmt: skip
        return pd.DataFrame(rows, columns=list(names)).set_index("name")

    @property
    def region(self) -> Region:
        """What is left of the space after the cuts in force."""
        with Ledger.open(self.home) as ledger:
            return region_of(self.space, ledger.cuts(self.id))

    @property
    def report(self) -> str:
        """The report as Markdown, from the ledger as it stands."""
        from vitruvius.tools.report import to_markdown

        return to_markdown(self._report())

    def _report(self) -> Report:
        from vitruvius.tools.report import build_report

        with Ledger.open(self.home) as ledger:
            return build_report(ledger, self.id, self.space, self.task)

    @property
    def best(self) -> BestNetwork:
        """The best network: by confirmation where there is one, else by validation.

        Raises:
            ToolError: no trial of the run has a score yet.
        """
        best = self._report().best
        if best is None:
            raise ToolError(f"no trial of run {self.id} has finished with a score")
        return BestNetwork(run_id=self.id, space=self.space, task=self.task, facts=best)

    def export(self, directory: Path | str) -> Exported:
        """Writes the best network's weights and a Python file that builds it with torch alone.

        Raises:
            ToolError: nothing was trained, or no weights of the best network were kept.
        """
        from vitruvius.tools.export import export

        best = self.best
        return export(
            self.space, best.architecture, best.weights, best.trained_task(), Path(directory)
        )


def _engine() -> ModuleType:
    from vitruvius.graphs import driver

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
