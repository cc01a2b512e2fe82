"""Values and the interface of a task: what an architecture is judged on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.space import Architecture, Signature

IGNORED = -100  # the label of a token that is not judged
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


UNITS = {"params": " parameters", "flops": " multiply-adds", "latency_ms": " ms of latency"}


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Upper limits, checked before anything is trained. None means no limit.

    `caps` are limits on further costs that a table records, by name: `(("latency_ms", 5.0),)`.
    """

    params: int | None = None
    flops: int | None = None  # multiply-adds of one forward pass of one example
    caps: tuple[tuple[str, float], ...] = ()

    @property
    def limits(self) -> dict[str, float]:
        """Every limit by the name of the cost, as `known_costs` names them."""
        both = {"params": self.params, "flops": self.flops}
        return {name: limit for name, limit in both.items() if limit is not None} | dict(self.caps)

    def violation(self, **costs: float | None) -> str | None:
        """Returns the sentence that says which limit is broken, or None.

        A limited cost that is not given, is None or NaN breaks its limit: nothing shows that it
        is kept.

        Example:
            >>> Constraints(params=1_000).violation(params=2_000, flops=5)
            'constraint: 2,000 parameters, at most 1,000 are allowed'
        """
        for name, limit in self.limits.items():
            cost = costs.get(name)
            if cost is None or math.isnan(cost):
                return f"constraint: {name} is not known, at most {amount(name, limit)} allowed"
            if cost > limit:
                most = _number(name, limit)
                return f"constraint: {amount(name, cost)}, at most {most} are allowed"
        return None

    def words(self) -> str:
        """Returns the limits as a sentence with a space in front, or nothing."""
        limits = [f"at most {amount(name, limit)}" for name, limit in self.limits.items()]
        return f" Limits: {' and '.join(limits)}." if limits else ""


def amount(name: str, cost: float) -> str:
    """Returns a cost with its unit.

    Example:
        >>> amount("params", 1_000), amount("latency_ms", 2.50), amount("energy", 0.1)
        ('1,000 parameters', '2.5 ms of latency', '0.1 energy')
    """
    return _number(name, cost) + UNITS.get(name, f" {name}")


def _number(name: str, cost: float) -> str:
    return f"{cost:,.0f}" if name in ("params", "flops") else f"{cost:,.6g}"


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
    limits = asdict(constraints)
    if not constraints.caps:
        del limits["caps"]  # tasks without caps keep the ids that they had before there were any
    hashed = {**parts, "constraints": limits, "evaluator": EVALUATOR_VERSION}
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


@runtime_checkable
class KnowsCosts(Protocol):
    """A task that can say what an architecture costs before it is evaluated."""

    def costs(self, architecture: Architecture) -> Mapping[str, float] | None:
        """Returns the costs known beforehand, free of charge; None where nothing is known.

        `params`, `flops`, `latency_ms` (of one example, in ms) and every other cost that the
        task's constraints limit, as far as it is known of this architecture.
        """
        ...


def known_costs(task: Task, architecture: Architecture) -> Mapping[str, float]:
    """Returns what is known beforehand of an architecture's costs, by name; {} if nothing is."""
    return (task.costs(architecture) if isinstance(task, KnowsCosts) else None) or {}


@dataclass(frozen=True, kw_only=True)
class Split:
    """Inputs [N, *input_shape]: float32, or int64 tokens. Labels [N] or, per token, [N, T]."""

    inputs: NDArray[np.float32 | np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Three parts without overlap: train to learn, valid to choose, test to report."""

    train: Split
    valid: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: AdamW with a one-cycle learning rate.

    `gradient_norm` is the norm to which longer gradients are cut; None leaves them as they are.
    """

    epochs: int = 8
    batch_size: int = 128
    learning_rate: float = 0.02
    weight_decay: float = 0.01
    gradient_norm: float | None = None


def recipe_parts(recipe: Recipe) -> dict[str, float]:
    """Returns what a task's id hashes of its recipe: every field that is set.

    Recipes without a limit on gradients keep the ids that they had before there was one.
    """
    return {name: value for name, value in asdict(recipe).items() if value is not None}


@runtime_checkable
class TrainableTask(Task, Protocol):
    """A task whose networks are really trained."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def signature(self) -> Signature:
        """What its networks take in and give out.

        Shapes of examples are (channels, length), (channels, height, width) or, where the inputs
        are tokens, (length,).
        """
        ...

    def load(self) -> Splits:
        """Returns the splits, the same at every call and in every process."""
        ...
