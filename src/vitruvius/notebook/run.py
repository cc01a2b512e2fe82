"""A run in a notebook: driven in the background while cells go on, its progress shown."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Self

from vitruvius.errors import ConfigError
from vitruvius.events import Ask, Listener
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.runs import is_live
from vitruvius.memory.ledger.schema import now
from vitruvius.memory.records import RunStatus
from vitruvius.notebook.facts import RunShown
from vitruvius.notebook.live import Panel, both, in_kernel
from vitruvius.run.background import submit
from vitruvius.run.driver import RunDriver, ignore
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task

_SLICE_S = 0.2  # a wait is cut into these: a signal that went to another thread is noticed
_POLL_S = 1.0  # how often the ledger is asked about a run that another process drives


class NotebookRun(RunShown, RunDriver):
    """What a handle can do in a notebook, on top of looking at a run and driving it."""

    _driving: Future[RunStatus] | None = None

    def resume(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Drives the run on until it is done or stopped, and returns which.

        The first Ctrl-C stops it so that it can be resumed; a second ends the process at once. In a
        notebook, where that would take all variables along, a second one only ends the cell.

        Args:
            on_event: called from another thread with each event.
            ask: called with each costly decision before it is carried out.
            space: the space again, where it was given as an object.
            task: the task again, where it was given as an object.
            progress: whether to show how it goes; None: in a notebook, unless `on_event` is given.
            settings: any setting by name, instead of the stored one.

        Raises:
            RunHeld: another live process drives it.
            ConfigError: its space or task has changed since it was started.
            VitruviusError: it could not go on; what was finished is kept.
        """
        if not in_kernel():
            with self._shown(on_event, progress) as listener:
                return super().resume(
                    on_event=listener, ask=ask, space=space, task=task, **settings
                )
        self.start_here(on_event=on_event, ask=ask, space=space, task=task, progress=progress,
                        **settings)  # fmt: skip
        with _first_interrupt(self._stop_here):
            return self.wait()

    def carry_out(
        self, *, on_event: Listener = ignore, ask: Ask | None = None, **settings: Any
    ) -> RunStatus:
        """Drives the run only until no wish is open, then lets go of it, and returns its status.

        A decision that is under way comes first. Where another live process drives the run, that
        one takes the wishes up; the event says which.

        Raises:
            ConfigError: as `resume`.
        """
        if not in_kernel():
            return super().carry_out(on_event=on_event, ask=ask, **settings)
        self._launch(lambda heard: self._carry_out(heard, ask, settings), on_event, None)
        with _first_interrupt(self._stop_here):
            return self.wait()

    async def aresume(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> RunStatus:
        """Does what `resume` does, awaited; cancelling it stops the run."""
        with self._shown(on_event, progress) as listener:
            return await super().aresume(on_event=listener, ask=ask, **settings)

    def start_here(
        self,
        *,
        on_event: Listener = ignore,
        ask: Ask | None = None,
        space: SearchSpace | None = None,
        task: Task | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> Self:
        """Drives the run on in a thread of this process, and returns at once.

        It goes on when the cell has ended, as long as the process lives; `wait` waits for it and
        raises what went wrong, `stop` stops it. Arguments are those of `resume`.

        Raises:
            ConfigError: this handle drives it already.
        """
        self._space, self._task = space or self._space, task or self._task
        self._launch(lambda heard: self._drive(heard, ask, settings), on_event, progress)
        return self

    def _launch(
        self,
        drive: Callable[[Listener], Coroutine[Any, Any, RunStatus]],
        on_event: Listener,
        progress: bool | None,
    ) -> None:
        if self._driving is not None and not self._driving.done():
            raise ConfigError(f"run {self.id} is being driven here already; see run.wait()")
        shown = self._shown(on_event, progress)
        listener = shown.__enter__()

        def close(future: Future[RunStatus]) -> None:
            error = None if future.cancelled() else future.exception()
            shown.__exit__(type(error) if error else None, error, None)

        self._driving = submit(drive(listener))
        self._driving.add_done_callback(close)

    def wait(self, timeout: float | None = None) -> RunStatus:
        """Waits until nobody drives the run, and returns where it stands then.

        An interrupt ends the waiting, not the run.

        Args:
            timeout: seconds after which to return in any case.

        Raises:
            VitruviusError: the run was driven in the background here and could not go on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        step = _SLICE_S if self._driving is not None else _POLL_S
        while self.is_running and (until is None or time.monotonic() < until):
            time.sleep(step if until is None else min(step, max(0.0, until - time.monotonic())))
        if self._driving is not None and self._driving.done():
            return self._driving.result()
        return self.record.status

    @property
    def is_running(self) -> bool:
        """Whether the run is being driven, by this process or by another."""
        if self._driving is not None and not self._driving.done():
            return True
        run = self.record
        held = run.status == RunStatus.RUNNING and run.driver is not None
        return held and is_live(run.host, run.pid, run.heartbeat, now())

    @contextmanager
    def _shown(self, on_event: Listener, progress: bool | None) -> Iterator[Listener]:
        """Yields a listener that also shows how the run goes, if that is wanted."""
        if not (in_kernel() and on_event is ignore if progress is None else progress):
            yield on_event
            return
        with Ledger.open(self.home) as ledger:
            panel = Panel(self.id, ledger.trials.of(self.id))
        try:
            yield panel if on_event is ignore else both(panel, on_event)
        except BaseException as error:
            panel.end(str(error) or type(error).__name__)
            raise
        panel.end(self.record.status)


@contextmanager
def _first_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first Ctrl-C; the next one raises, as it does in any cell."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return

    def answer(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
