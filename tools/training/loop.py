"""A plain training loop: AdamW with a one-cycle learning rate, the same numbers by seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from vitruvius.memory.model.halving import falls_short
from vitruvius.tasks.task import Metric, Recipe
from vitruvius.tools.training.evaluation import FailureKind
from vitruvius.tools.training.metrics import TrainingStopped, loss_of, score
from vitruvius.tools.training.tensors import Data

Progress = Callable[[int, float | None], None]
"""Called with the epoch under way (from 1) and, at its end, the validation metric."""


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
