"""The settings of a run that its graph reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vitruvius.budget import Budget
from vitruvius.memory.transfer.sources import MEMORY


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The settings of a run that its graph reads."""

    explore: float = 0.15
    control: float = 0.0
    reflect_every: int = 8
    cut_loss: float = 0.05
    trust_to_cut: float = 0.5
    principles_from: Sequence[str] = (MEMORY,)
    ask_above: Budget | None = None  # None: every training and cut
    halving: bool = False
