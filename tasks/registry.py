"""From text to tasks: `mnist1d:epochs=8`, `table:PATH,metric=c10`, `my_data.py:task`."""

from __future__ import annotations

import difflib
import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import absolute_ref, is_user_object, load_object, parse_ref
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.data.builtin import (
    MNIST1D_CLASSES,
    MNIST1D_HELD_OUT,
    MNIST1D_SEED,
    generate_mnist1d,
    read_digits,
)
from vitruvius.tasks.data.datasets import DatasetTask, create_dataset_task, from_examples
from vitruvius.tasks.data.examples import Kind
from vitruvius.tasks.data.files import read_path
from vitruvius.tasks.tables.references import load_table_task
from vitruvius.tasks.tables.table import Tabular, TabularTask
from vitruvius.tasks.task import Constraints, Recipe, Task, TrainableTask
from vitruvius.tasks.texts.references import TOPICS, load_text_task
from vitruvius.tasks.texts.text import TextTask

KNOWN = (
    "mnist1d",
    "digits",
    "topics",
    "text:PATH",
    "masked:PATH",
    "data:PATH",
    "table:PATH,metric=NAME",
    "file.py:object",
)
RATED = ("mnist1d", "digits", "data", TOPICS, "text", "masked")  # whose recipe has a rate
MNIST1D_SAMPLES = 4000
MNIST1D_MOST = 1_000_000


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
    if options.get("path") and (name, options["path"]) != (
        "masked",
        TOPICS,
    ):  # the reference must hold in any folder
        path = str(Path(options["path"]).expanduser().resolve())
        ref = ref.strip().replace(options["path"], path, 1)
    highest = getattr(space, "learning_rate", None)
    if highest is not None and "lr" not in options and name in RATED:
        task = load_task(ref)
        if isinstance(task, TrainableTask) and task.recipe.learning_rate > highest:
            return load_task(f"{ref}{',' if options else ':'}lr={highest}")
        return task
    reader = Options(name, options)
    if name == "mnist1d":
        return _mnist1d(ref, reader)
    if name == "digits":
        return _digits(ref, reader)
    if name == "data":
        return _data(ref, reader)
    if name in (TOPICS, "text", "masked"):
        return load_text_task(ref, reader)
    if name == "table":
        return load_table_task(reader, space)
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"did you mean {near[0]}? Tasks" if near else "tasks"
    raise ConfigError(f"there is no task {name!r}; {hint}: {', '.join(KNOWN)}")


class Options:
    """The options of a reference, taken one by one; `done` refuses those left over."""

    def __init__(self, name: str, options: dict[str, str]) -> None:
        self.name = name
        self.given = options
        self.left = dict(options)
        self.allowed: list[str] = []

    def text(self, key: str, default: str | None = None) -> str | None:
        self.allowed.append(key)
        return self.left.pop(key, default)

    def one_of(self, key: str, choices: tuple[str, ...], default: str | None) -> str | None:
        value = self.text(key, default)
        if value is not None and value not in choices:
            raise ConfigError(
                f"option {key} of {self.name} must be one of {', '.join(choices)}, got {value!r}"
            )
        return value

    def whole(self, key: str) -> int | None:
        """Returns a whole number of at least 1 (`4000`, `4_000`, `1e6`), or None if not given."""
        value = self.text(key)
        if value is None:
            return None
        try:
            number = float(value)
            whole = int(number)
        except (ValueError, OverflowError):
            number, whole = 0.5, 0
        if whole != number or whole < 1:
            raise ConfigError(
                f"option {key} of {self.name} must be a whole number of at least 1, got {value!r}"
            )
        return whole

    def positive(self, key: str) -> float | None:
        value = self.text(key)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0.0 < number < float("inf"):
            raise ConfigError(f"option {key} of {self.name} must be above 0, got {value!r}")
        return number

    def path(self) -> Path:
        value = self.text("path")
        if not value:
            raise ConfigError(f"{self.name} needs a path: {self.name}:PATH")
        return Path(value).expanduser().resolve()

    def recipe(self, usual: Recipe | None = None) -> Recipe:
        """Returns the usual recipe with what is given of it: epochs, batch, lr."""
        usual = usual or Recipe()
        return replace(
            usual,
            epochs=self.whole("epochs") or usual.epochs,
            batch_size=self.whole("batch") or usual.batch_size,
            learning_rate=self.positive("lr") or usual.learning_rate,
        )

    def constraints(self, *, any_cost: bool = False) -> Constraints:
        """Returns the limits `max_params` and `max_flops`, or `params` and `flops` for short.

        With `any_cost`, every `max_NAME` limits the cost of that name.
        """
        params, flops = self._limit("params"), self._limit("flops")
        names = [key for key in self.left if key.startswith("max_")] if any_cost else []
        caps = [(key.removeprefix("max_"), self.positive(key)) for key in sorted(names)]
        if any_cost and not names:
            self.allowed.append("max_COST")
        found = tuple((name, limit) for name, limit in caps if name and limit is not None)
        return Constraints(params=params, flops=flops, caps=found)

    def _limit(self, name: str) -> int | None:
        short, long = self.whole(name), self.whole(f"max_{name}")
        if short is not None and long is not None:
            raise ConfigError(f"{self.name} is given {name} and max_{name}: they are the same")
        return long if short is None else short

    def done(self) -> None:
        for key in self.left:
            near = difflib.get_close_matches(key, self.allowed, n=1)
            raise ConfigError(
                f"{self.name} has no option {key!r}; "
                + (f"did you mean {near[0]!r}? Options" if near else "options")
                + f": {', '.join(self.allowed)}"
            )


def _mnist1d(ref: str, options: Options) -> DatasetTask:
    recipe, constraints = options.recipe(), options.constraints()
    samples = options.whole("samples") or MNIST1D_SAMPLES
    options.done()
    if not MNIST1D_CLASSES <= samples <= MNIST1D_MOST:
        raise ConfigError(
            f"mnist1d makes {MNIST1D_CLASSES} to {MNIST1D_MOST:,} training examples, "
            f"got samples={samples}"
        )
    return DatasetTask(
        name="mnist1d",
        ref=ref,
        about="MNIST-1D, noisy one-dimensional digits, generated on this machine",
        identity=f"mnist1d:{MNIST1D_SEED}:{MNIST1D_HELD_OUT}:{samples}",
        read=partial(generate_mnist1d, samples),
        recipe=recipe,
        constraints=constraints,
    )


def _digits(ref: str, options: Options) -> DatasetTask:
    recipe, constraints = options.recipe(), options.constraints()
    samples = options.whole("samples")
    options.done()
    return from_examples(
        read_digits(),
        name="digits",
        ref=ref,
        about="scikit-learn's handwritten digits of 8 x 8 pixels",
        samples=samples,
        recipe=recipe,
        constraints=constraints,
    )


def _data(ref: str, options: Options) -> DatasetTask:
    path, recipe, constraints = options.path(), options.recipe(), options.constraints()
    samples = options.whole("samples")
    kind = cast("Kind | None", options.one_of("kind", get_args(Kind), None))
    options.done()
    return from_examples(
        read_path(path, kind),
        name=re.sub(r"[^\w.-]+", "-", path.name.removesuffix(".npz")),
        ref=ref,
        about=f"data from {path.name}",
        samples=samples,
        recipe=recipe,
        constraints=constraints,
    )


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
