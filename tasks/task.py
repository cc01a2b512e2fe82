"""Values and the interface of a task: what an architecture is judged on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

EVALUATOR_VERSION = 1  # part of every task's id: raise it when the same request gives other numbers


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What is measured, in the task's own unit, and which direction is better."""

    name: str
    direction: Literal["max", "min"] = "max"
    unit: str = ""

    @property
    def sign(self) -> float:
        """+1 where more is better, else -1: `sign * value` always grows with quality."""
        return 1.0 if self.direction == "max" else -1.0


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Upper limits, checked before anything is trained. None means no limit."""

    params: int | None = None
    flops: int | None = None  # multiply-adds of one forward pass of one example

    def violation(self, *, params: int, flops: int) -> str | None:
        """Returns the sentence that says which limit is broken, or None."""
        if self.params is not None and params > self.params:
            return f"constraint: {params:,} parameters, at most {self.params:,} are allowed"
        if self.flops is not None and flops > self.flops:
            return f"constraint: {flops:,} multiply-adds, at most {self.flops:,} are allowed"
        return None

    def words(self) -> str:
        """Returns the limits as a sentence with a space in front, or nothing."""
        limits = []
        if self.params is not None:
            limits.append(f"at most {self.params:,} parameters")
        if self.flops is not None:
            limits.append(f"at most {self.flops:,} multiply-adds")
        return f" Limits: {' and '.join(limits)}." if limits else ""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How much training a number stands for."""

    epochs: int
    data: float = 1.0  # fraction of the training split

    @property
    def key(self) -> str:
        """The text that keys results: `8ep`, `8ep-50%`."""
        return f"{self.epochs}ep" + ("" if self.data == 1.0 else f"-{self.data:.0%}")


def task_id(name: str, constraints: Constraints, **parts: Any) -> str:
    """Returns the name and a hash of everything that changes a result; `parts` are JSON data."""
    hashed = {**parts, "constraints": asdict(constraints), "evaluator": EVALUATOR_VERSION}
    digest = hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:8]}"


class Task(Protocol):
    """What architectures are built for.

    `id` hashes data, split, recipe and evaluator version, and keys results; `ref` is the text
    from which `tasks.registry.load_task` makes the task again.
    """

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def metric(self) -> Metric: ...
    @property
    def constraints(self) -> Constraints: ...
    @property
    def fidelity(self) -> Fidelity:
        """The fidelity that a search uses."""
        ...

    @property
    def is_noisy(self) -> bool:
        """Whether another seed can give another number, so that repeats say something."""
        ...

    def describe(self) -> str:
        """Returns one paragraph for people and models."""
        ...


@dataclass(frozen=True, kw_only=True)
class Split:
    """Inputs [N, *input_shape] float32 and integer labels [N]."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Three parts without overlap: train to learn, valid to choose, test to report."""

    train: Split
    valid: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate."""

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 0.02
    weight_decay: float = 0.01


@runtime_checkable
class TrainableTask(Task, Protocol):
    """A task whose networks are really trained."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example: (channels, length) or (channels, height, width)."""
        ...

    @property
    def outputs(self) -> int:
        """Number of classes."""
        ...

    def load(self) -> Splits:
        """Returns the splits, the same at every call and in every process."""
        ...
