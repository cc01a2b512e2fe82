"""What tests of whole runs share."""

import sys
from pathlib import Path
from typing import Any

import vitruvius as vt
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Trial

TINY = Path(__file__).parent / "tiny.py"
SPACE = f"{TINY}:space"
TRAINED = f"{TINY}:task"  # really trained, in a worker process
LOOKUP = f"{TINY}:lookup"  # answered at once
SLOW = f"{TINY}:slow"  # answered after TINY_SLEEP seconds


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "vitruvius", *words]


def outcome_of(run: vt.SearchRun) -> list[tuple[Any, ...]]:
    """What a run found, without what differs between two clocks."""
    return [row_of(trial) for trial in trials_of(run)]


def row_of(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.number,
        trial.architecture.text,
        trial.origin.value,
        trial.seed,
        trial.status.value,
        trial.value,
    )


def trials_of(run: vt.SearchRun) -> list[Trial]:
    with Ledger.open(run.home) as ledger:
        return ledger.trials.of(run.id)
