"""The only place that knows workers from tables: one try of each request, retries are the run's."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.model.halving import falls_short
from vitruvius.spaces.space import Builder, SearchSpace
from vitruvius.tasks.tables.table import TableRow, Tabular, broken_limit
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.training.evaluation import (
    Evaluator,
    Failed,
    FailureKind,
    Outcome,
    Question,
    Request,
    Scored,
    Stopped,
    Trained,
    adopt,
    describe_error,
    sweep,
)
from vitruvius.tools.training.pool import Limits, OnBeat, WorkerPool
from vitruvius.tools.training.worker_setup import Carried, Setup

__all__ = ["TableEvaluator", "adopt", "create_evaluator"]

_STOPPED = Failed(kind=FailureKind.CANCELLED, message="stopped", train_s=0.0, retriable=True)
DRAWS = 3  # architectures that are built to see whether a space can serve a task


class TableEvaluator:
    """An `Evaluator` that looks results up; their seconds are the table's own."""

    def __init__(self, task: Tabular, space: SearchSpace) -> None:
        self._task = task
        self._space = space
        self._is_closed = False

    @property
    def slots(self) -> int:
        """One: it answers at once, and a batch would only make a search blinder."""
        return 1

    async def evaluate(self, request: Request) -> Outcome:
        """Returns what the table records; a row that it lacks is a failure."""
        return _STOPPED if self._is_closed else await asyncio.to_thread(self._answer, request)

    async def score(self, question: Question) -> Scored:
        """Returns recorded costs, and other scores of a network built in this process."""
        return _STOPPED if self._is_closed else await asyncio.to_thread(self._scores, question)

    async def aclose(self) -> None:
        """Answers nothing more."""
        self._is_closed = True

    def _scores(self, question: Question) -> Scored:
        from vitruvius.tools.passes.scoring import (
            score,  # torch: only a run that asks for scores pays
        )

        asked = [question.architecture]
        return tuple(score(self._space, self._task, asked, question.proxies, question.seed))

    def _answer(self, request: Request) -> Outcome:
        try:
            return self._look_up(request)
        except ToolError as error:
            message = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the tool boundary: user code
            message = describe_error(error)
        return Failed(kind=FailureKind.FAILED, message=message, train_s=0.0)

    def _look_up(self, request: Request) -> Outcome:
        row = self._task.lookup(request.architecture, request.fidelity, request.seed)
        broken = broken_limit(self._task, request.architecture, row)
        if broken is not None:
            return Failed(kind=FailureKind.INFEASIBLE, message=broken, train_s=0.0)
        curve: tuple[float, ...] = ()
        if request.demands is not None:
            curve = self._curve(request)
            for epoch, demanded in sorted(request.demands.items()):
                if falls_short(demanded, curve[epoch - 1], self._task.metric):
                    return self._stopped(request, curve[:epoch])
        if not math.isfinite(row.value):
            message = f"the table's value is {row.value}"
            return Failed(kind=FailureKind.DIVERGED, message=message, train_s=row.train_s)
        return Trained(
            value=row.value,
            test=row.test,
            train_s=row.train_s,
            curve=curve,
            params=row.params,
            flops=row.flops,
        )

    def _curve(self, request: Request) -> tuple[float, ...]:
        """Returns the metric after each epoch; only of a table that records them all."""
        epochs = [self._after(request, epoch) for epoch in range(1, request.fidelity.epochs + 1)]
        return tuple(row.value for row in epochs)

    def _after(self, request: Request, epochs: int) -> TableRow:
        fidelity = replace(request.fidelity, epochs=epochs)
        return self._task.lookup(request.architecture, fidelity, request.seed)

    def _stopped(self, request: Request, curve: tuple[float, ...]) -> Stopped:
        row = self._after(request, len(curve))
        return Stopped(curve=curve, train_s=row.train_s, params=row.params, flops=row.flops)


def check_can_evaluate(task: Task, space: SearchSpace) -> None:
    """Checks that the task has a table, or data on which the space's networks can be trained.

    Raises:
        ConfigError: says what is missing, or why the space has no such networks.
    """
    if isinstance(task, Tabular):
        return
    if not isinstance(task, TrainableTask):
        raise ConfigError(f"the task {task.name} has neither data to train on nor a table")
    if not isinstance(space, Builder):
        raise ConfigError(f"the space {space.name} builds no networks: it needs a build method")
    _check_signature(task, space)


def _check_signature(task: TrainableTask, space: SearchSpace) -> None:
    """Builds a few networks, to see whether the space has any of the task's signature.

    Single architectures may refuse one, such as those too deep for a small image: a search can
    live with that, unless most do. Whatever else goes wrong in a builder is the failure of a trial.

    Raises:
        ConfigError: what the space says of it.
    """
    assert isinstance(space, Builder)
    from vitruvius.tools.passes.flops import unmoved_generator

    # the same architectures for every run: whether a space serves a task is no luck
    rng = np.random.default_rng(0)
    refusals: list[ConfigError] = []
    for _ in range(DRAWS):
        try:
            with unmoved_generator():
                space.build(space.sample(rng), task.signature)
        except ConfigError as error:
            refusals.append(error)
        except (Exception, SystemExit):  # noqa: BLE001 - the tool boundary: user code
            return
    if 2 * len(refusals) > DRAWS:
        raise ConfigError(f"task {task.name}: {refusals[-1]}") from refusals[-1]


def create_evaluator(
    task: Task,
    space: SearchSpace,
    *,
    run_dir: Path,
    workers: int = 1,
    deadline_s: float | None = None,
    memory_mib: float | None = None,
    silent_s: float = 120.0,
    threads: int = 1,
    device: str | None = None,
    on_beat: OnBeat | None = None,
) -> Evaluator:
    """Returns what evaluates the space's architectures on the task. Starts no process yet.

    Blocks while the task computes its id from its data: in an event loop, call it in a thread.

    Workers write `outcomes/<result_id>.json` and `weights/<result_id>.pt` under `run_dir`, which
    belongs to one run with one driver: what killed workers left half-written there is removed.

    Args:
        task: one with a `lookup` is answered from its table, in this process.
        space: must build networks, unless the task is a table.
        run_dir: the run's folder, made if need be.
        workers: evaluations at once, at least 1.
        deadline_s: of one training, in wall seconds; the simulated ones of a table are free.
        memory_mib: what one worker may hold, in MiB, of which torch alone takes about 300.
        silent_s: without a sign of life (one batch, say) before a training counts as hung.
        threads: of each worker. More than one pays for large networks only: small ones wait for
            each other's threads (4 times slower on a loaded machine of 2 cores), and another
            number of threads gives other numbers.
        device: a torch device; None or `auto` for cuda, mps or cpu, whichever there is.
        on_beat: told of every epoch of every training, in the event loop.

    Raises:
        ConfigError: if the space or the task cannot be evaluated, or an argument is out of range.
    """
    for name, number in (("workers", workers), ("threads", threads)):
        if number < 1:
            raise ConfigError(f"expected {name} of at least 1, got {number}")
    for name, limit in (
        ("deadline_s", deadline_s),
        ("memory_mib", memory_mib),
        ("silent_s", silent_s),
    ):
        if limit is not None and not limit > 0:
            raise ConfigError(f"expected {name} above 0, got {limit}")
    check_can_evaluate(task, space)
    if isinstance(task, Tabular):
        return TableEvaluator(task, space)
    assert isinstance(task, TrainableTask)
    setup = Setup(
        space=Carried.of(space),
        task=Carried.of(task),
        run_dir=str(run_dir.resolve()),
        device=device,
        slot=0,
        threads=threads,
        memory_mib=memory_mib,
        parent=os.getpid(),
        path=[entry or str(Path.cwd()) for entry in sys.path],
    )
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        sweep(run_dir)
    except OSError as error:
        raise ConfigError(f"the run's folder {run_dir} cannot be written: {error}") from error
    limits = Limits(deadline_s=deadline_s, memory_mib=memory_mib, silent_s=silent_s)
    return WorkerPool(setup, workers, limits, on_beat)
