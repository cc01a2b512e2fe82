"""One request carried out in this process: build, count, check, train, save."""

from __future__ import annotations

import io
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vitruvius.spaces.space import Builder
from vitruvius.tasks.metrics import measure_of
from vitruvius.tasks.task import TrainableTask
from vitruvius.tools.passes.flops import count_flops, count_params
from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Request,
    Stopped,
    Trained,
    describe_error,
)
from vitruvius.tools.training.examples import Data
from vitruvius.tools.training.loop import Course, Progress, train
from vitruvius.tools.training.metrics import TrainingStopped
from vitruvius.tools.training.outcomes import weights_path, write_whole
from vitruvius.tools.training.process_limits import peak_mib, start_peak


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
        self._start_peak()
        _seed_everything(request.seed)
        task = self.task
        network = self.space.build(request.architecture, task.signature)
        params, flops = count_params(network), count_flops(network, task.signature)
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
