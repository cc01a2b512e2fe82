"""Which trainings of a run end early: successive halving in which nothing is taken up again.

At a rung a training goes on only if it is among the best third of the run's own trainings that came
so far, itself counted (asynchronous halving, Li et al. 2020, arXiv:1810.05934, section 3.2, without
promotions). What the rung demands is known when a training begins, so a run that is killed and
resumed stops the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vitruvius.errors import ConfigError
from vitruvius.memory.records import Trial
from vitruvius.tasks.tables.table import Tabular, TabularTask
from vitruvius.tasks.task import Metric, Task

FACTOR, RUNGS = 3, 2  # a third goes on, at a ninth and a third of the epochs


def rungs(epochs: int) -> tuple[int, ...]:
    """Returns the epochs after which a training may end, of so many.

    Example:
        >>> rungs(50), rungs(4), rungs(2)
        ((5, 16), (1,), ())
    """
    found = {epochs // FACTOR**power for power in range(1, RUNGS + 1)}
    return tuple(sorted(found - {0}))


def check_has_rungs(task: Task) -> None:
    """Checks that trainings of the task can be stopped early.

    Raises:
        ConfigError: says what is missing.
    """
    epochs = task.fidelity.epochs
    if not isinstance(task, Tabular):
        if not rungs(epochs):
            raise ConfigError(
                f"trainings of {task.name} are too short to stop one early: epochs={epochs}, "
                f"and {FACTOR} are needed"
            )
        return
    recorded = task.table.by_epochs if isinstance(task, TabularTask) else {}
    if not rungs(epochs):
        raise ConfigError(
            f"the table of {task.name} records no learning curves, without which nothing is "
            "stopped early"
        )
    lacking = [str(n) for n in range(1, epochs) if n not in recorded]
    if lacking:
        raise ConfigError(
            f"the table of {task.name} records no learning curves, without which nothing is "
            f"stopped early: it lacks {len(lacking)} of {epochs} epochs, such as {lacking[0]}"
        )


def demands(trials: Sequence[Trial], metric: Metric, epochs: int) -> dict[int, float]:
    """Returns by rung the metric that a training must reach there; nothing where none is known.

    Args:
        trials: closed ones of the run, at one fidelity; those without a curve say nothing.
        metric: gives the direction.
        epochs: of a whole training.
    """
    found = {}
    for rung in rungs(epochs):
        seen = sorted(
            (trial.curve[rung - 1] for trial in trials if len(trial.curve) >= rung),
            key=lambda value: -metric.sign * value,
        )
        place = math.ceil(max(1.0, (len(seen) + 1) / FACTOR))
        if place <= len(seen):
            found[rung] = seen[place - 1]
    return found


def falls_short(demanded: float | None, value: float, metric: Metric) -> bool:
    """Returns whether a training ends at a rung with this value."""
    return demanded is not None and metric.sign * value < metric.sign * demanded
