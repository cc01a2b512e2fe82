"""A made-up task that takes its time over each answer, so that a run can be caught at work."""

import time

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Slot
from vitruvius.tasks.tables.table import TableRow
from vitruvius.tasks.task import Constraints, Fidelity, Metric

space = SlotSpace(
    "steps",
    [
        Slot(name=name, choices=tuple(Choice(name=f"{n}", value=n) for n in range(6)))
        for name in ("first", "second", "third")
    ],
)


class Quick:
    """The sum of three numbers, at once."""

    name, pause_s = "quick", 0.0
    metric = Metric(name="score", direction="max", unit="")
    constraints, fidelity, is_noisy = Constraints(), Fidelity(epochs=1), False

    @property
    def id(self) -> str:
        return f"{self.name}-1"

    @property
    def ref(self) -> str:
        return f"{__file__}:{self.name}"

    def describe(self) -> str:
        return "The sum of three numbers."

    def lookup(self, architecture: Architecture, fidelity: Fidelity, seed: int) -> TableRow:
        time.sleep(self.pause_s)
        score = sum(float(number) for number in architecture.spec.values())
        return TableRow(value=score, test=score, train_s=1.0, params=int(1 + score), flops=1)


class Slow(Quick):
    """The same, after a while."""

    name, pause_s = "slow", 0.25


quick, slow = Quick(), Slow()
