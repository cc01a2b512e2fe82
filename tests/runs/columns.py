"""Columns of one small table over one space; each look at a row leaves a line in a file."""

import os
from pathlib import Path

import numpy as np

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Metric

SLOTS, CHOICES = 4, 3

space = SlotSpace(
    "columns",
    [
        Slot(name=f"slot_{n}", choices=tuple(Choice(name=f"op{k}") for k in range(CHOICES)))
        for n in range(SLOTS)
    ],
)
cousin_space = SlotSpace(
    "cousins",
    [
        *space.slots[:3],
        Slot(name="extra", choices=tuple(Choice(name=name) for name in ("no", "yes"))),
    ],
)


class Column:
    """A task that answers at once with a sum over slots, most of it shared by all columns."""

    constraints = Constraints()
    fidelity = Fidelity(epochs=1)
    is_noisy = False

    def __init__(self, name: str, seed: int, sign: float = 1.0) -> None:
        self.name, self.id, self.ref = name, f"{name}-1", f"{__file__}:{name}"
        self.metric = Metric(name="score", direction="max", unit="")
        shared = np.random.default_rng(0).normal(size=(SLOTS, CHOICES))
        own = np.random.default_rng(seed).normal(size=(SLOTS, CHOICES))
        self._effects = sign * (3 * shared + 0.3 * own)

    def describe(self) -> str:
        return f"A made-up score, column {self.name}."

    def value(self, architecture: Architecture) -> float:
        spec = architecture.spec
        chosen = [spec.get(f"slot_{n}", "op0") for n in range(SLOTS)]
        return float(sum(self._effects[n, int(op[2:])] for n, op in enumerate(chosen)))

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        if log := os.environ.get("LOOKED_UP"):
            with Path(log).open("a") as file:
                file.write(f"{self.name} {architecture.text}\n")
        value = self.value(architecture)
        return TableRow(value=value, test=value - 1, train_s=1.0, params=1, flops=1)


source = Column("source", 1)
target = Column("target", 2)
inverted = Column("inverted", 3, sign=-1.0)
