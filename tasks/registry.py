"""From text to tasks, and to the same task at a cheaper fidelity: `mnist1d:epochs=8`.

The table of names is `built_in`.
"""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from vitruvius.errors import ConfigError
from vitruvius.spaces.built_in import named
from vitruvius.spaces.registry import absolute_ref, is_user_object, load_object, parse_ref
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.built_in import TASKS, forms
from vitruvius.tasks.data.datasets import DatasetTask, create_dataset_task
from vitruvius.tasks.options import Options
from vitruvius.tasks.tables.table import Tabular, TabularTask
from vitruvius.tasks.task import Fidelity, Task, TrainableTask
from vitruvius.tasks.texts.text import TextTask

_SHORT = re.compile(r"([1-9][0-9]*)\s*(?:ep|epochs?)?")


def load_task(ref: str, space: SearchSpace | None = None) -> Task:
    """Returns the task that a reference names.

    `mnist1d` and `digits` (options epochs, batch, lr, samples, params, flops), `data:PATH` (the
    same and kind=image|sequence), `topics`, `text:PATH`, `masked:topics` and `masked:PATH` (epochs,
    batch, lr, params, flops, unit, context, vocabulary, tokens, metric), `table:PATH` (metric,
    epochs, noise, latency, max_COST; the file says which metrics and epochs there are; for files of
    a user's own also direction, unit, columns, space), or `file.py:object`: a task, a pair (inputs,
    labels), or a function that returns either.

    Args:
        ref: the reference.
        space: the one that is searched, for tables that do not say of which space they are. If it
            has a `learning_rate` that the usual one of the task is above, and the reference names
            none, the task gets that rate, and a reference that says so.

    Raises:
        ConfigError: one sentence that says what is wrong and what is possible.
    """
    if is_user_object(ref):
        return _user_task(absolute_ref(ref))
    name, options = parse_ref(ref)
    entry = TASKS.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, forms(), n=1)
        hint = f"did you mean {near[0]}? Tasks" if near else "tasks"
        raise ConfigError(f"there is no task {name!r}; {hint}: {', '.join(forms())}")
    if options.get("path") and options["path"] not in entry.words:
        path = str(Path(options["path"]).expanduser().resolve())  # it must hold in any folder
        ref = ref.strip().replace(options["path"], path, 1)
    highest = getattr(space, "learning_rate", None)
    if highest is not None and "lr" not in options and entry.has_rate:
        task = load_task(ref)
        if isinstance(task, TrainableTask) and task.recipe.learning_rate > highest:
            # in the reference, so that whoever loads it again trains at that rate
            return load_task(f"{ref}{',' if options else ':'}lr={highest}")
        return task
    return cast("Task", named(entry.make)(ref, Options(name, options), space))


def _user_task(ref: str) -> Task:
    found = load_object(ref)
    name = ref.rsplit(":", 1)[1]
    if isinstance(found, tuple) and len(found) == 2:
        return create_dataset_task(*found, name=name, ref=ref)
    if isinstance(found, DatasetTask):
        return replace(found, name=name if found.name == "data" else found.name, ref=ref)
    if isinstance(found, TextTask):
        return replace(found, name=name if found.name == "text" else found.name, ref=ref)
    if isinstance(found, TabularTask):
        return replace(found, ref=ref)
    judged_by = Tabular if hasattr(found, "lookup") else TrainableTask
    missing = [part for part in _promised(judged_by) if not hasattr(found, part)]
    if missing:
        raise ConfigError(
            f"{ref} must give a pair (inputs, labels) or a task; it gave "
            f"{type(found).__name__}, which lacks {', '.join(missing)}"
        )
    with suppress(AttributeError):  # a read-only ref is the object's own business
        cast("Any", found).ref = ref
    return cast(Task, found)


def _promised(protocol: type) -> list[str]:
    """Returns the names that a protocol promises, those of its bases included."""
    bases = (base for base in protocol.__mro__ if getattr(base, "_is_protocol", False))
    return [name for base in bases for name in vars(base) if not name.startswith("_")]


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
    match = _SHORT.fullmatch(text.strip())
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
