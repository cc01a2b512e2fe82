"""The metrics that a training can be judged by, one entry each.

To add one, add its entry to `METRICS`: what a table of a file's own rows calls a metric is the
file's affair and needs none. A measure is given tensors and imports torch where it needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Metric

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric: its sum over judged answers, and what the mean over them becomes."""

    metric: Metric
    total: Callable[[Tensor, Tensor], Tensor]  # of logits [N, outputs] and labels [N]
    finish: Callable[[float], float] = float
    of_texts: bool = False  # whether a task on text may be judged by it


def _summed_loss(logits: Tensor, labels: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.cross_entropy(logits, labels, reduction="sum")


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf  # e ** 710 overflows a double


METRICS: dict[str, Measure] = {
    measure.metric.name: measure
    for measure in (
        Measure(
            metric=Metric(name="accuracy", direction="max", unit="%"),
            total=lambda logits, labels: 100.0 * (logits.argmax(1) == labels).sum(),
        ),
        Measure(
            metric=Metric(name="error", direction="min", unit="%"),
            total=lambda logits, labels: 100.0 * (logits.argmax(1) != labels).sum(),
        ),
        Measure(
            metric=Metric(name="cross_entropy", direction="min", unit="nats"),
            total=_summed_loss,
            of_texts=True,
        ),
        Measure(
            metric=Metric(name="perplexity", direction="min"),
            total=_summed_loss,
            finish=_exp,
            of_texts=True,
        ),
    )
}


def metrics_of_texts() -> tuple[str, ...]:
    """Returns the names of those that a task on text may be judged by."""
    return tuple(name for name, measure in METRICS.items() if measure.of_texts)


def measure_of(metric: Metric) -> Measure:
    """Returns how the metric is measured.

    Raises:
        ConfigError: if the metric's name is not known.
    """
    if metric.name not in METRICS:
        raise ConfigError(f"expected a metric among {', '.join(METRICS)}, got {metric.name!r}")
    return METRICS[metric.name]
