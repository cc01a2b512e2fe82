"""What goes into an evaluation and what comes out, whatever does the work; and outcomes as files.

A file is there whole or not at all; an evaluation that has one is finished.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from vitruvius.memory.records import Score
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Fidelity

MESSAGE_LIMIT = 4000  # characters of a failure's message, its traceback included


FORMAT = 1  # of the file; one of another is none, and its request is carried out again


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


def outcome_path(run_dir: Path, result_id: int) -> Path:
    """Returns where the outcome of a result lies once it is finished."""
    return run_dir / "outcomes" / f"{result_id}.json"


def weights_path(run_dir: Path, result_id: int) -> Path:
    """Returns where the weights of a trained result lie."""
    return run_dir / "weights" / f"{result_id}.pt"


def adopt(run_dir: Path, result_id: int, request: Request | None = None) -> Outcome | None:
    """Returns the finished outcome of a result, or None if there is none.

    A file that another request wrote (another architecture, fidelity or seed under the same
    number) is no outcome of `request` and gives None.

    Raises:
        OSError: if the file exists and cannot be read.
    """
    try:
        record = json.loads(outcome_path(run_dir, result_id).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    if record.get("format") != FORMAT:
        return None
    if request is not None and record["request"] != _identity(request):
        return None
    return _decode(record["outcome"], run_dir)


def write_outcome(run_dir: Path, request: Request, outcome: Outcome) -> None:
    """Writes the outcome's file and forces it to disk; the file appears by a rename.

    Raises:
        OSError: if it cannot be written (no space, no permission).
    """
    record = {
        "format": FORMAT,
        "request": _identity(request),
        "outcome": _encode(outcome, run_dir),
    }
    path = outcome_path(run_dir, request.result_id)
    write_whole(path, json.dumps(record, indent=1).encode())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a whole file beside `path`, forces it to disk, and renames it into place.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # the folder too: until then a rename may be lost with the power
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(run_dir: Path) -> None:
    """Removes what killed workers left half-written."""
    for folder in (run_dir / "outcomes", run_dir / "weights"):
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)


def _identity(request: Request) -> dict[str, Any]:
    return {
        "result_id": request.result_id,
        "architecture": request.architecture.text,
        "fidelity": request.fidelity.key,
        "seed": request.seed,
    }


def _encode(outcome: Outcome, run_dir: Path) -> dict[str, Any]:
    fields = asdict(outcome)
    if isinstance(outcome, Trained) and outcome.weights is not None:
        fields["weights"] = outcome.weights.relative_to(run_dir).as_posix()  # a home may move
    return {"case": type(outcome).__name__, **fields}


def _decode(fields: dict[str, Any], run_dir: Path) -> Outcome:
    case = fields.pop("case")
    if case == "Failed":
        return Failed(**{**fields, "kind": FailureKind(fields["kind"])})
    fields["curve"] = tuple(fields["curve"])
    if case == "Stopped":
        return Stopped(**fields)
    weights = fields["weights"]
    return Trained(
        **{
            **fields,
            "weights": run_dir / weights if weights else None,
        }
    )
