"""A space and a task whose trainings take milliseconds; each start of one leaves a line."""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Signature, Slot
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Metric

if TYPE_CHECKING:
    from torch import nn


def build(architecture: Architecture, signature: Signature) -> "nn.Module":
    from torch import nn

    if log := os.environ.get("TINY_LOG"):
        with Path(log).open("a") as file:
            file.write(architecture.text + "\n")
    time.sleep(float(os.environ.get("TINY_SLEEP", "0")))
    spec = architecture.spec
    inputs = math.prod(signature.input_shape)
    width = int(spec["width"])
    act = {"relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}[spec["activation"]]
    middle = nn.LayerNorm(width) if spec["norm"] == "yes" else nn.Identity()
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, width), middle, act(), nn.Linear(width, signature.outputs)
    )


def choices(*names: str) -> tuple[Choice, ...]:
    return tuple(Choice(name=name) for name in names)


space = SlotSpace(
    "tiny",
    [
        Slot(
            name="width",
            choices=tuple(Choice(name=str(n), value=n) for n in (1, 2, 3, 4, 6, 8, 12, 16)),
        ),
        Slot(name="activation", choices=choices("relu", "tanh", "none")),
        Slot(name="norm", choices=choices("yes", "no")),
    ],
    build=build,
)


def task() -> object:
    return load_task("digits:epochs=2,samples=300")


class Lookup:
    """A noisy task that answers at once: error of a network, less is better."""

    name = "lookup"
    id = "lookup-1"
    ref = f"{__file__}:lookup"
    metric = Metric(name="error", direction="min", unit="%")
    constraints = Constraints()
    fidelity = Fidelity(epochs=1)
    is_noisy = True

    def describe(self) -> str:
        return "A made-up error that falls with width."

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        spec = architecture.spec
        noise = np.random.default_rng([seed, *architecture.text.encode()]).normal(0, 0.3)
        error = 20 - float(spec["width"]) + (2 if spec["activation"] == "none" else 0) + noise
        return TableRow(value=error, test=error + 0.5, train_s=1.0, params=1, flops=1)


class Slow(Lookup):
    """The same, but each answer takes a while."""

    id = "slow-1"
    ref = f"{__file__}:slow"

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        time.sleep(float(os.environ.get("TINY_SLEEP", "0")))
        return super().lookup(architecture, fidelity, seed)


lookup, slow = Lookup(), Slow()
