"""One request carried out in this process: build, count, check, train, save.

Training is a plain loop: AdamW with a one-cycle learning rate, the same numbers by seed.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vitruvius.memory.model.halving import falls_short
from vitruvius.spaces.space import Builder
from vitruvius.tasks.metrics import measure_of
from vitruvius.tasks.task import Metric, Recipe, TrainableTask
from vitruvius.tools.passes.flops import count_flops, count_params
from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Request,
    Stopped,
    Trained,
    describe_error,
    weights_path,
    write_whole,
)
from vitruvius.tools.training.metrics import TrainingStopped, loss_of, score
from vitruvius.tools.training.process_limits import peak_mib, start_peak
from vitruvius.tools.training.tensors import Data

Progress = Callable[[int, float | None], None]
"""Called with the epoch under way (from 1) and, at its end, the validation metric."""


class Trainer:
    """Carries out requests on one device, where it keeps the task's data.

    Belongs in a worker process: it seeds every global generator and sets torch's switches.
    """

    def __init__(
        self, space: Builder, task: TrainableTask, run_dir: Path, device: torch.device
    ) -> None:
        """Loads the data.

        Raises:
            ConfigError: if the task's metric is not known, or its data cannot be had.
        """
        self.space = space
        self.task = task
        self._run_dir = run_dir
        self.device = device
        if self.device.type == "cuda":  # otherwise the same seed gives other numbers
            torch.backends.cudnn.benchmark = False
            torch.use_deterministic_algorithms(True, warn_only=True)
        self._data = Data.of(task.load(), self.device)
        measure_of(task.metric)
        torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # loads torch's compiler: 1 s, once

    def carry_out(
        self,
        request: Request,
        deadline_s: float | None = None,
        progress: Progress = lambda epoch, value: None,
    ) -> Outcome:
        """Returns the outcome; raises only if the weights cannot be written.

        Raises:
            OSError: if the weights cannot be written.
        """
        started = time.monotonic()
        deadline = None if deadline_s is None else started + deadline_s
        try:
            network, params, flops, course = self._attempt(request, deadline, progress)
        except TrainingStopped as stop:
            kind, message = stop.kind, str(stop)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the tool boundary: user code
            kind = FailureKind.OUT_OF_MEMORY if is_out_of_memory(error) else FailureKind.FAILED
            message = describe_error(error)
        else:
            if course.fell_short:
                return Stopped(
                    curve=course.curve, train_s=course.train_s, params=params, flops=flops
                )
            return Trained(
                value=course.value,
                test=course.test,
                train_s=course.train_s,
                curve=course.curve,
                params=params,
                flops=flops,
                peak_mib=self._peak_mib(),
                weights=self._save(network, request.result_id),
            )
        return Failed(kind=kind, message=message, train_s=time.monotonic() - started)

    def _attempt(
        self, request: Request, deadline: float | None, progress: Progress
    ) -> tuple[nn.Module, int, int, Course]:
        """Returns the trained network, its parameters and multiply-adds, and how it went."""
        # before the build, whose memory counts
        self._start_peak()
        _seed_everything(request.seed)
        task = self.task
        network = self.space.build(request.architecture, task.signature)
        params, flops = count_params(network), count_flops(network, task.signature)
        # before the training: what breaks a limit costs none
        broken = task.constraints.violation(params=params, flops=flops)
        if broken is not None:
            raise TrainingStopped(FailureKind.INFEASIBLE, broken)
        course = train(
            network.to(self.device),
            replace(self._data, train=self._data.train.fraction(request.fidelity.data)),
            task.recipe,
            epochs=request.fidelity.epochs,
            seed=request.seed,
            metric=task.metric,
            deadline=deadline,
            demands=request.demands,
            progress=progress,
        )
        return network, params, flops, course

    def _save(self, network: nn.Module, result_id: int) -> Path:
        """Writes the state dict, on the CPU, readable with `torch.load(weights_only=True)`."""
        state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        path = weights_path(self._run_dir, result_id)
        write_whole(path, buffer.getbuffer())
        return path

    def _start_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            start_peak()

    def _peak_mib(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        return peak_mib()


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an allocation failed.

    torch has a type for its accelerators only; on the CPU it raises RuntimeError, and the text
    tells (c10/core/impl/alloc_cpu.cpp, and bad_alloc from the libraries below).
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "bad_alloc" in text
    )


def _seed_everything(seed: int) -> None:
    """Seeds the generators that a user's builder may draw from, whatever ran here before."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global one is what a user's code may use


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a training went. `value` and `test` are those of the network as it was left."""

    value: float
    test: float
    curve: tuple[float, ...]
    train_s: float
    fell_short: bool = False  # stopped at a rung, with the learning rate still high


def train(
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    metric: Metric,
    deadline: float | None = None,
    demands: Mapping[int, float] | None = None,
    progress: Progress = lambda epoch, value: None,
) -> Course:
    """Returns how the training of `network` went; trains it in place and seeds torch's generators.

    The network is scored as the last epoch left it: the learning rate has come down to zero by
    then, and choosing the best epoch on the validation split would flatter its value. The last
    examples of an epoch that do not fill a batch wait for the next shuffle.

    Args:
        network: maps inputs to logits, [B, outputs] or [B, T, outputs]; on the device of `data`.
        data: splits on one device; a smaller fidelity passes a fraction of `train`.
        recipe: batch size, learning rate, weight decay and limit of the gradient's norm.
        epochs: passes over the training split, at least 1.
        seed: of the order of the examples and of whatever the network draws (dropout).
        metric: how the splits are scored, see `score`.
        deadline: reading of `time.monotonic()` at which to give up; None for never.
        demands: what the metric must have come to after an epoch, or the training ends there.
        progress: told about every batch and, with the metric, the end of every epoch.

    Raises:
        TrainingStopped: if the loss, the outputs or the metric are not finite, or time is up.
        ConfigError: if `metric` is not known.
    """
    started = time.perf_counter()
    inputs, labels = data.train.inputs, data.train.labels
    size = min(recipe.batch_size, len(labels))
    steps = len(labels) // size
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=max(2, epochs * steps)
    )
    shuffle = torch.Generator().manual_seed(seed)
    curve: list[float] = []
    torch.manual_seed(seed)
    for epoch in range(1, epochs + 1):
        network.train()
        order = torch.randperm(len(labels), generator=shuffle).to(labels.device)
        # summed on the device, looked at once an epoch: a look waits for the device
        total = torch.zeros((), device=labels.device)
        for chosen in torch.split(order[: steps * size], size):
            _check_time(deadline, epoch)
            loss = loss_of(network(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.gradient_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), recipe.gradient_norm)
            optimiser.step()
            schedule.step()
            total += loss.detach()
            progress(epoch, None)
        if not torch.isfinite(total):
            raise TrainingStopped(
                FailureKind.DIVERGED, f"the loss of epoch {epoch} is {total.item()}"
            )
        curve.append(score(network, data.valid, metric))
        progress(epoch, curve[-1])
        if epoch < epochs and falls_short((demands or {}).get(epoch), curve[-1], metric):
            break
    test = score(network, data.test, metric)
    return Course(
        value=curve[-1],
        test=test,
        curve=tuple(curve),
        train_s=time.perf_counter() - started,
        fell_short=len(curve) < epochs,
    )


def _check_time(deadline: float | None, epoch: int) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise TrainingStopped(FailureKind.TIMEOUT, f"time was up in epoch {epoch}")
