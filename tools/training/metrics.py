"""How good a network is on a split: the loss that is trained, and a metric of `tasks.metrics`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import VitruviusError
from vitruvius.tasks.metrics import measure_of
from vitruvius.tasks.task import IGNORED, Metric
from vitruvius.tools.training.evaluation import FailureKind
from vitruvius.tools.training.tensors import Examples

EVALUATION_BATCH = 1024  # examples at once
EVALUATION_TOKENS = 8192  # and, where each token has an answer, at most about so many of them


class TrainingStopped(VitruviusError):
    """A training that ends without a number, and which kind of failure that is."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of the judged answers, in nats.

    Args:
        logits: [B, outputs] or [B, T, outputs].
        labels: [B] or [B, T]; `IGNORED` where an answer is not judged.
    """
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def score(network: nn.Module, examples: Examples, metric: Metric) -> float:
    """Returns the metric of the network on the examples, in the metric's unit.

    Known are those of `tasks.metrics.METRICS`; the mean is that over all judged answers. The
    network is left in evaluation mode.

    Raises:
        TrainingStopped: if an output or the metric is not finite (kind diverged).
        ConfigError: if the metric's name is not known.
    """
    measure = measure_of(metric)
    network.eval()
    total, judged = 0.0, 0
    size = _batch_size(examples)
    with torch.inference_mode():
        parts = (torch.split(examples.inputs, size), torch.split(examples.labels, size))
        for inputs, labels in zip(*parts, strict=True):
            logits = network(inputs)  # [B, outputs] or [B, T, outputs]
            if not torch.isfinite(logits).all():
                raise TrainingStopped(FailureKind.DIVERGED, "the network's outputs are not finite")
            asked = labels.flatten() != IGNORED
            answers = logits.flatten(0, -2)[asked]
            total += measure.total(answers, labels.flatten()[asked]).item()
            judged += len(answers)
    value = measure.finish(total / judged)
    if not math.isfinite(value):
        raise TrainingStopped(FailureKind.DIVERGED, f"the {metric.name} is {value}")
    return value


def _batch_size(examples: Examples) -> int:
    if examples.labels.dim() == 1:
        return EVALUATION_BATCH
    return max(1, EVALUATION_TOKENS // examples.labels.shape[1])
