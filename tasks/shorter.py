"""The same task at a cheaper fidelity."""

from __future__ import annotations

import re
from dataclasses import replace

from vitruvius.errors import ConfigError
from vitruvius.tasks.data.datasets import DatasetTask
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Fidelity, Task
from vitruvius.tasks.texts.text import TextTask

_TEXT = re.compile(r"([1-9][0-9]*)\s*(?:ep|epochs?)?")


def shorter_task(task: Task, text: str) -> Task:
    """Returns the task with trainings of fewer epochs; it answers to another id.

    Args:
        task: a table with several fidelities, a data set or a text.
        text: `12ep`, `12 epochs` or `12`.

    Raises:
        ConfigError: says which fidelities there are.

    Example:
        >>> from vitruvius.tasks.registry import load_task
        >>> short = shorter_task(load_task("digits"), "2ep")
        >>> short.fidelity.key, short.ref
        ('2ep', 'digits:epochs=2')
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"expected short trainings such as 12ep, got {text!r}")
    epochs, full = int(match[1]), task.fidelity.epochs
    if epochs >= full:
        raise ConfigError(
            f"short trainings must be shorter than those of {task.name}: {full} epochs, "
            f"got {epochs}"
        )
    ref = _with_epochs(task.ref, epochs)
    if isinstance(task, TabularTask):
        if Fidelity(epochs=epochs) not in task.fidelities:
            known = ", ".join(fidelity.key for fidelity in task.fidelities)
            raise ConfigError(f"the table of {task.name} records {known}, not {epochs}ep")
        if task.noise and not task.table.by_epochs[epochs].has_runs:
            return replace(task, epochs=epochs, ref=ref.replace("noise=true", "noise=false"),
                           noise=False)  # fmt: skip
        return replace(task, epochs=epochs, ref=ref)
    if isinstance(task, DatasetTask | TextTask):
        return replace(task, recipe=replace(task.recipe, epochs=epochs), ref=ref)
    raise ConfigError(f"the task {task.name} has one fidelity only: it has no short trainings")


def _with_epochs(ref: str, epochs: int) -> str:
    """Returns the reference with the option; none of an object, which takes no options."""
    if not ref or ref.partition(":")[0].endswith(".py"):
        return ""
    name, _, told = ref.partition(":")
    options = [each for each in told.split(",") if each and not each.startswith("epochs=")]
    return f"{name}:{','.join([*options, f'epochs={epochs}'])}"
