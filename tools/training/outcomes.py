"""Outcomes as files, each there whole or not at all; an evaluation that has one is finished."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vitruvius.tools.training.evaluation import (
    Failed,
    FailureKind,
    Outcome,
    Request,
    Stopped,
    Trained,
)

FORMAT = 1


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
