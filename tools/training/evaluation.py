"""What goes into an evaluation and what comes out, whatever does the work."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from vitruvius.memory.records import Score
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Fidelity

MESSAGE_LIMIT = 4000  # characters of a failure's message, its traceback included


class FailureKind(StrEnum):
    """How an evaluation ends without a number."""

    FAILED = "failed"  # it raised, or its process died
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"  # NaN or infinite loss
    INFEASIBLE = "infeasible"  # it breaks a limit of the task; nothing was trained
    CANCELLED = "cancelled"  # by us: stop, shutdown


@dataclass(frozen=True, kw_only=True)
class Request:
    """One evaluation to carry out. `result_id` names its row in the ledger."""

    result_id: int
    architecture: Architecture
    fidelity: Fidelity
    seed: int
    demands: Mapping[int, float] | None = None  # by epoch, what to reach or stop; None: no rungs


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished evaluation. Metrics are in the task's own unit and direction."""

    value: float  # on the validation split
    test: float | None  # for the report only
    train_s: float  # of training; simulated seconds for a table
    curve: tuple[float, ...] = ()  # validation metric after each epoch
    params: int | None = None
    flops: int | None = None
    peak_mib: float | None = None
    weights: Path | None = None  # state dict, readable with weights_only


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """A training that fell short at a rung: what it reached there is no final value."""

    curve: tuple[float, ...]
    train_s: float
    params: int | None = None
    flops: int | None = None


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An evaluation without a number, and why."""

    kind: FailureKind
    message: str
    train_s: float
    retriable: bool = False  # the same request may end otherwise (a killed process, say)


Outcome = Trained | Stopped | Failed


@dataclass(frozen=True, kw_only=True)
class Question:
    """What proxies are asked about one architecture; `seed` draws weights and examples."""

    architecture: Architecture
    proxies: tuple[str, ...]
    seed: int


Scored = tuple[Score, ...] | Failed
"""One score for each proxy of a question, in order; or why there is none."""


def describe_error(error: BaseException) -> str:
    """Returns the error in one line and, below it, the end of its traceback."""
    lines = "".join(traceback.format_exception(error)).rstrip()
    told = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return f"{told[:MESSAGE_LIMIT]}\n{lines[-MESSAGE_LIMIT:]}"


class Evaluator(Protocol):
    """Requests in, typed outcomes out. `create_evaluator` alone knows workers from tables."""

    @property
    def slots(self) -> int:
        """How many requests it works on at once."""
        ...

    async def evaluate(self, request: Request) -> Outcome:
        """Returns the outcome; never raises for what the architecture did."""
        ...

    async def score(self, question: Question) -> Scored:
        """Returns what the proxies say; never raises for what the architecture did."""
        ...

    async def aclose(self) -> None:
        """Ends every process it started; what is under way ends as cancelled."""
        ...
