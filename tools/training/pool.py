"""A pool of worker processes: requests in, typed outcomes out, whatever befalls a worker."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from vitruvius.errors import ConfigError
from vitruvius.memory.records import Score
from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Question,
    Request,
    Scored,
    adopt,
    write_outcome,
)
from vitruvius.tools.training.worker_process import WorkerProcess
from vitruvius.tools.training.worker_setup import Setup

START_ATTEMPTS = 2  # a second death at the start is the setup's fault: it ends the run
T = TypeVar("T")

OnBeat = Callable[[Request, int, float | None], None]
"""Called with the epoch under way and, at its end, the validation metric."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one evaluation may take. None means no limit."""

    deadline_s: float | None = None
    memory_mib: float | None = None  # resident, of one worker and its children
    silent_s: float = 120.0  # without a sign of life from a training
    start_s: float = 600.0  # until a worker has torch, the space and the data
    grace_s: float = 2.0  # to end by itself once time is up


@dataclass
class _Slot:
    index: int
    worker: WorkerProcess | None = None


class _Ended(Exception):
    """The worker is of no more use: how the evaluation under way ends, and why."""

    def __init__(self, kind: FailureKind, message: str, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.retriable = retriable


class WorkerPool:
    """An `Evaluator` with one warm worker a slot, started when first needed.

    Belongs to one event loop; where the thread of that loop ends, its workers end (Linux).
    """

    def __init__(
        self, setup: Setup, slots: int, limits: Limits, on_beat: OnBeat | None = None
    ) -> None:
        self._setup = setup
        self._run_dir = setup.folder
        self._limits = limits
        self._on_beat = on_beat
        self._slots = [_Slot(index) for index in range(slots)]
        # last in, first out: a warm worker is asked again before a cold slot starts one
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()
        for slot in reversed(self._slots):
            self._free.put_nowait(slot)
        self._is_closing = False

    @property
    def slots(self) -> int:
        return len(self._slots)

    async def evaluate(self, request: Request) -> Outcome:
        """Returns the outcome, at once if it lies finished in the run's folder.

        Cancelling the awaiting task kills the worker.

        Raises:
            ConfigError: if no worker can be started for this space and task.
        """
        async with self._slot() as slot:
            # a driver that was killed may have left it finished: nothing is trained twice
            found = await asyncio.to_thread(adopt, self._run_dir, request.result_id, request)
            if found is not None:
                return found
            outcome = await self._carry_out(slot, partial(self._train, request))
            if isinstance(outcome, Failed):
                return await asyncio.to_thread(self._settle, request, outcome)
            return outcome

    async def score(self, question: Question) -> Scored:
        """Returns what the proxies say of a network built and measured in a worker.

        Nothing is written to disk: asked again, the answer is the same.

        Raises:
            ConfigError: if no worker can be started for this space and task.
        """
        async with self._slot() as slot:
            return await self._carry_out(slot, partial(self._ask, question))

    async def aclose(self) -> None:
        """Kills every worker; evaluations under way or waiting end as cancelled."""
        self._is_closing = True
        for slot in self._slots:
            if slot.worker is not None:
                await slot.worker.stop()
        for _ in self._slots:  # every evaluation has given its slot back
            await self._free.get()
        for slot in self._slots:
            slot.worker = None
            self._free.put_nowait(slot)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[_Slot]:
        slot = await self._free.get()
        try:
            yield slot
        finally:
            self._free.put_nowait(slot)

    async def _carry_out(
        self, slot: _Slot, talk: Callable[[WorkerProcess], Awaitable[T]]
    ) -> T | Failed:
        """Returns what a talk with the slot's worker comes to, or how the worker ended."""
        started = time.monotonic()
        try:
            # a start, of which torch alone takes seconds, is no part of the training's time
            worker = slot.worker or await self._start(slot)
            started = time.monotonic()
            outcome = await talk(worker)
        except _Ended as end:
            await self._drop(slot)
            return Failed(
                kind=end.kind,
                message=str(end),
                train_s=time.monotonic() - started,
                retriable=end.retriable,
            )
        except BaseException:
            await self._drop(slot)
            raise
        if isinstance(outcome, Failed) and outcome.kind is FailureKind.OUT_OF_MEMORY:
            await self._drop(slot)  # what is left of its memory would count against the next
        return outcome

    async def _train(self, request: Request, worker: WorkerProcess) -> Outcome:
        """Returns the outcome that the worker wrote; raises `_Ended` if it wrote none."""
        order = _order(request, self._limits.deadline_s)
        answer = await self._converse(worker, order, self._limits.deadline_s, request)
        if answer["kind"] == "unwritten":
            raise _Ended(
                FailureKind.FAILED,
                f"the outcome cannot be written: {answer['message']}; "
                "free some space or mend the permissions, then try again",
                retriable=True,
            )
        outcome = await asyncio.to_thread(adopt, self._run_dir, request.result_id, request)
        if outcome is None:
            raise _Ended(
                FailureKind.FAILED,
                f"the outcome of result {request.result_id} has vanished from {self._run_dir}",
                retriable=True,
            )
        return outcome

    async def _ask(self, question: Question, worker: WorkerProcess) -> tuple[Score, ...]:
        order = {
            "architecture": question.architecture.text,
            "proxies": question.proxies,
            "seed": question.seed,
        }
        answer = await self._converse(worker, json.dumps(order))
        return tuple(
            Score(proxy=name, architecture=question.architecture, **told)
            for name, told in zip(question.proxies, answer["scores"], strict=True)
        )

    async def _converse(
        self,
        worker: WorkerProcess,
        order: str,
        deadline_s: float | None = None,
        request: Request | None = None,
    ) -> dict[str, Any]:
        """Returns the answer to an order; raises `_Ended` if there is none."""
        limits = self._limits
        deadline = None if deadline_s is None else time.monotonic() + deadline_s
        watch = (
            None
            if limits.memory_mib is None
            else asyncio.create_task(worker.watch(limits.memory_mib))
        )
        worker.forget_errors()
        try:
            await worker.send(order)
            while (message := await self._next(worker, deadline))["kind"] == "beat":
                if self._on_beat is not None and request is not None:
                    self._on_beat(request, message["epoch"], message["value"])
            return message
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)

    async def _next(self, worker: WorkerProcess, deadline: float | None) -> dict[str, Any]:
        """Returns the worker's next message, or raises what its silence means."""
        limits = self._limits
        patience = limits.silent_s
        left = None if deadline is None else deadline + limits.grace_s - time.monotonic()
        try:
            message = await worker.receive(patience if left is None else min(patience, left))
        except TimeoutError:
            why = (
                f"was still busy {limits.grace_s:g} s after its {limits.deadline_s:g} s"
                if left is not None and left < patience
                else f"gave no sign of life for {patience:g} s"
            )
            raise _Ended(FailureKind.TIMEOUT, f"the worker {why} and was killed") from None
        if message is not None:
            return message
        if self._is_closing:
            raise _Ended(FailureKind.CANCELLED, "stopped", retriable=True)
        if worker.over_mib is not None:
            raise _Ended(
                FailureKind.OUT_OF_MEMORY,
                f"the worker held {worker.over_mib:.0f} MiB of the "
                f"{limits.memory_mib:.0f} MiB it may hold, and was killed",
            )
        epitaph = await worker.epitaph()
        if "bad_alloc" in epitaph:  # C++ code that met the memory cap and gave up
            raise _Ended(FailureKind.OUT_OF_MEMORY, f"the worker {epitaph}")
        raise _Ended(FailureKind.FAILED, f"the worker {epitaph}", retriable=True)

    async def _start(self, slot: _Slot) -> WorkerProcess:
        """Returns a ready worker in the slot."""
        epitaph = ""
        for _ in range(START_ATTEMPTS):
            if self._is_closing:
                raise _Ended(FailureKind.CANCELLED, "stopped", retriable=True)
            slot.worker = await WorkerProcess.start(replace(self._setup, slot=slot.index))
            if self._is_closing:  # meanwhile: `aclose` did not see this worker
                raise _Ended(FailureKind.CANCELLED, "stopped", retriable=True)
            try:
                message = await slot.worker.receive(self._limits.start_s)
            except TimeoutError:
                raise ConfigError(
                    f"a worker was not ready {self._limits.start_s:.0f} s after its start; "
                    "does loading the task take so long?"
                ) from None
            if message is not None and message["kind"] == "ready":
                return slot.worker
            if message is not None:
                raise ConfigError(str(message["message"]))
            epitaph = await slot.worker.epitaph()
            await self._drop(slot)
        if self._is_closing:
            raise _Ended(FailureKind.CANCELLED, "stopped", retriable=True)
        raise ConfigError(f"no worker can be started: it {epitaph}")

    async def _drop(self, slot: _Slot) -> None:
        worker, slot.worker = slot.worker, None
        if worker is not None:
            await worker.stop()

    def _settle(self, request: Request, failed: Failed) -> Outcome:
        """Returns what the worker wrote before it was killed, else writes the failure.

        A failure that may be tried again leaves no file.
        """
        # killed between its rename and its word, a worker has finished all the same
        found = adopt(self._run_dir, request.result_id, request)
        if found is not None or failed.retriable:
            return found or failed
        try:
            write_outcome(self._run_dir, request, failed)
        except OSError as error:
            return replace(failed, message=f"{failed.message} (and not noted on disk: {error})")
        return failed


def _order(request: Request, deadline_s: float | None) -> str:
    return json.dumps(
        {
            "result_id": request.result_id,
            "architecture": request.architecture.text,
            "epochs": request.fidelity.epochs,
            "data": request.fidelity.data,
            "seed": request.seed,
            "deadline_s": deadline_s,
            "demands": request.demands,
        }
    )
