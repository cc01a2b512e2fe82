"""Tasks on data: what is trained for real."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vitruvius.spaces.space import Signature
from vitruvius.tasks.data.examples import SPLIT_SEED, Examples, Kind, check_examples, split
from vitruvius.tasks.metrics import METRICS
from vitruvius.tasks.task import (
    Constraints,
    Fidelity,
    Metric,
    Recipe,
    Splits,
    recipe_parts,
    task_id,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetTask:
    """Classification on a dataset with a fixed split, judged by accuracy in percent.

    `read` makes the splits, once per object; `identity` is what the id hashes for the data:
    the parameters of a generator, or a hash of the content.
    """

    name: str
    ref: str
    about: str
    identity: str
    read: Callable[[], Splits]
    recipe: Recipe = field(default_factory=Recipe)
    constraints: Constraints = field(default_factory=Constraints)

    @property
    def id(self) -> str:
        return task_id(
            self.name,
            self.constraints,
            data=self.identity,
            split=SPLIT_SEED,
            recipe=recipe_parts(self.recipe),
        )

    @property
    def metric(self) -> Metric:
        return METRICS["accuracy"].metric

    @property
    def fidelity(self) -> Fidelity:
        return Fidelity(epochs=self.recipe.epochs)

    @property
    def is_noisy(self) -> bool:
        return True

    @property
    def signature(self) -> Signature:
        train = self._splits.train
        return Signature(
            input_shape=tuple(train.inputs.shape[1:]), outputs=int(train.labels.max()) + 1
        )

    def load(self) -> Splits:
        return self._splits

    @cached_property
    def _splits(self) -> Splits:
        return self.read()

    def describe(self) -> str:
        sizes = " / ".join(
            f"{len(part.labels):,}"
            for part in (self._splits.train, self._splits.valid, self._splits.test)
        )
        return (
            f"{self.name}: {self.about}. {self.signature.outputs} classes, examples of shape "
            f"{list(self.signature.input_shape)}, {sizes} for training / validation / test. Score: "
            f"validation accuracy in percent after {self.recipe.epochs} epochs of AdamW with a "
            f"one-cycle rate (peak {self.recipe.learning_rate:g}, batches of "
            f"{self.recipe.batch_size}).{self.constraints.words()}"
        )


def create_dataset_task(
    inputs: Any,
    labels: Any,
    *,
    name: str = "data",
    ref: str = "",
    kind: Kind | None = None,
    samples: int | None = None,
    recipe: Recipe | None = None,
    constraints: Constraints | None = None,
) -> DatasetTask:
    """Returns a task on arrays of one's own: any numbers, one integer label per example.

    Shapes are read as `check_examples` says. The split is made here and is always the same.

    Raises:
        ConfigError: if the arrays cannot serve as a dataset.
    """
    return from_examples(
        Examples(learn=check_examples(inputs, labels, name, kind)),
        name=name,
        ref=ref,
        about="a dataset of the user's own",
        samples=samples,
        recipe=recipe or Recipe(),
        constraints=constraints or Constraints(),
    )


def from_examples(
    examples: Examples,
    *,
    name: str,
    ref: str,
    about: str,
    samples: int | None,
    recipe: Recipe,
    constraints: Constraints,
) -> DatasetTask:
    """Returns the task of checked examples; its id hashes the content of every split."""
    splits = split(examples, samples=samples)
    digest = hashlib.sha256()
    for part in (splits.train, splits.valid, splits.test):
        digest.update(repr(part.inputs.shape).encode())
        digest.update(np.ascontiguousarray(part.inputs).data)
        digest.update(np.ascontiguousarray(part.labels).data)
    return DatasetTask(
        name=name,
        ref=ref,
        about=about,
        identity=digest.hexdigest(),
        read=_Ready(splits),
        recipe=recipe,
        constraints=constraints,
    )


@dataclass(frozen=True, eq=False)
class _Ready:
    """Splits that are there already; unlike a lambda it can be pickled."""

    splits: Splits

    def __call__(self) -> Splits:
        return self.splits
