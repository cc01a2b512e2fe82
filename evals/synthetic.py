"""A made-up task that answers at once, over a space too large to list: for benches."""

from __future__ import annotations

import numpy as np

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Metric

SLOTS, CHOICES = 10, 5


def create_space() -> SlotSpace:
    """Returns a space of 5^10 architectures without networks."""
    names = tuple(Choice(name=f"op{number}") for number in range(CHOICES))
    slots = [Slot(name=f"slot_{number}", choices=names) for number in range(SLOTS)]
    return SlotSpace("synthetic", slots, description="Ten slots, five choices each.")


class SyntheticTask:
    """A sum of one effect per choice and one per pair of neighbouring slots, without noise."""

    name = "synthetic"
    id = "synthetic-1"
    ref = ""
    metric = Metric(name="score", direction="max", unit="")
    constraints = Constraints()
    fidelity = Fidelity(epochs=1)
    is_noisy = False

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._single = rng.normal(size=(SLOTS, CHOICES))
        # choices of neighbours matter to each other: no sum over slots explains all
        self._pair = 0.5 * rng.normal(size=(SLOTS - 1, CHOICES, CHOICES))

    def describe(self) -> str:
        return "A made-up score, looked up at once."

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        """Returns the score of an architecture; the same for every seed."""
        spec = architecture.spec
        chosen = [int(spec[f"slot_{number}"][2:]) for number in range(SLOTS)]
        score = sum(self._single[slot, choice] for slot, choice in enumerate(chosen))
        score += sum(self._pair[s, chosen[s], chosen[s + 1]] for s in range(SLOTS - 1))
        return TableRow(value=float(score), test=None, train_s=0.0, params=1, flops=1)
