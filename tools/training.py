"""A plain training loop: AdamW with a one-cycle learning rate, the same numbers by seed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import ConfigError, VitruviusError
from vitruvius.tasks.task import Metric, Recipe, Split, Splits
from vitruvius.tools.evaluation import FailureKind

SUBSET_SEED = 20_201  # a fraction of the data is the same examples for every trial
EVALUATION_BATCH = 1024

Progress = Callable[[int, float | None], None]
"""Called with the epoch under way (from 1) and, at its end, the validation metric."""


class TrainingStopped(VitruviusError):
    """A training that ends without a number, and which kind of failure that is."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Examples:
    """A split on its device: inputs [N, *input_shape] and labels [N]."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, device: torch.device) -> Examples:
        return cls(
            inputs=torch.as_tensor(split.inputs, dtype=torch.float32).to(device),
            labels=torch.as_tensor(split.labels, dtype=torch.int64).to(device),
        )

    def fraction(self, share: float) -> Examples:
        """Returns the first `share` of the examples in a shuffled order that never changes."""
        if share >= 1.0:
            return self
        generator = torch.Generator().manual_seed(SUBSET_SEED)
        order = torch.randperm(len(self.labels), generator=generator)
        chosen = order[: max(1, round(share * len(order)))].to(self.labels.device)
        return Examples(inputs=self.inputs[chosen], labels=self.labels[chosen])


@dataclass(frozen=True, kw_only=True)
class Data:
    """The three splits on one device."""

    train: Examples
    valid: Examples
    test: Examples

    @classmethod
    def of(cls, splits: Splits, device: torch.device) -> Data:
        return cls(
            train=Examples.of(splits.train, device),
            valid=Examples.of(splits.valid, device),
            test=Examples.of(splits.test, device),
        )


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a training went. `value` and `test` are those of the network as it was left."""

    value: float
    test: float
    curve: tuple[float, ...]
    train_s: float


def pick_device(wanted: str | None = None) -> torch.device:
    """Returns the device to train on: the one wanted, else cuda, mps or cpu, in that order.

    Raises:
        ConfigError: if the wanted device cannot be used here.
    """
    if wanted is None or wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"expected a usable torch device, got {wanted!r}: {error}") from error
    return device


def train(
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    epochs: int,
    seed: int,
    metric: Metric,
    deadline: float | None = None,
    progress: Progress = lambda epoch, value: None,
) -> Course:
    """Returns how the training of `network` went; trains it in place and seeds torch's generators.

    The network is scored as the last epoch left it: the learning rate has come down to zero by
    then, and choosing the best epoch on the validation split would flatter its value. The last
    examples of an epoch that do not fill a batch wait for the next shuffle.

    Args:
        network: maps [B, *input_shape] to logits [B, classes]; on the device of `data`.
        data: splits on one device; a smaller fidelity passes a fraction of `train`.
        recipe: batch size, learning rate and weight decay.
        epochs: passes over the training split, at least 1.
        seed: of the order of the examples and of whatever the network draws (dropout).
        metric: how the splits are scored, see `score`.
        deadline: reading of `time.monotonic()` at which to give up; None for never.
        progress: told about every batch and, with the metric, the end of every epoch.

    Raises:
        TrainingStopped: if the loss or the outputs are not finite, or time is up.
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
            loss = functional.cross_entropy(network(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
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
    test = score(network, data.test, metric)
    return Course(
        value=curve[-1], test=test, curve=tuple(curve), train_s=time.perf_counter() - started
    )


def score(network: nn.Module, examples: Examples, metric: Metric) -> float:
    """Returns the metric of the network on the examples, in the metric's unit.

    Known are `accuracy` and `error` in percent, in [0, 100], and `cross_entropy` in nats.
    The network is left in evaluation mode.

    Raises:
        TrainingStopped: if an output is not finite (kind diverged).
        ConfigError: if the metric's name is not known.
    """
    measure = measure_of(metric)
    network.eval()
    total = 0.0
    with torch.inference_mode():
        parts = (
            torch.split(examples.inputs, EVALUATION_BATCH),
            torch.split(examples.labels, EVALUATION_BATCH),
        )
        for inputs, labels in zip(*parts, strict=True):
            logits = network(inputs)  # [B, classes]
            if not torch.isfinite(logits).all():
                raise TrainingStopped(FailureKind.DIVERGED, "the network's outputs are not finite")
            total += measure(logits, labels).item()
    return total / len(examples.labels)


def measure_of(metric: Metric) -> Callable[[Tensor, Tensor], Tensor]:
    """Returns a function from logits and labels to the sum of the metric over a batch.

    Raises:
        ConfigError: if the metric's name is not known.
    """
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "accuracy": lambda logits, labels: 100.0 * (logits.argmax(1) == labels).sum(),
        "error": lambda logits, labels: 100.0 * (logits.argmax(1) != labels).sum(),
        "cross_entropy": lambda logits, labels: functional.cross_entropy(
            logits, labels, reduction="sum"
        ),
    }
    if metric.name not in measures:
        raise ConfigError(f"expected a metric among {', '.join(measures)}, got {metric.name!r}")
    return measures[metric.name]


def _check_time(deadline: float | None, epoch: int) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise TrainingStopped(FailureKind.TIMEOUT, f"time was up in epoch {epoch}")
