"""Ledgers, and rows to put into them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vitruvius.budget import Budget
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Evidence, NewTrial, Origin, Run, Standing
from vitruvius.spaces.rules import Rule, SlotCondition
from vitruvius.spaces.space import Architecture

NewRun = Callable[..., Run]
NewTrials = Callable[..., list[NewTrial]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def reopen(tmp_path: Path) -> Callable[[], Ledger]:
    """Opens the same ledger once more, as another process would."""
    return lambda: Ledger.open(tmp_path / "home")


@pytest.fixture(scope="session")
def new_run() -> NewRun:
    """Makes a run in a ledger."""

    def make(ledger: Ledger, **changes: Any) -> Run:
        fields: dict[str, Any] = {
            "space_ref": "nb201",
            "space_id": "nb201-12345678",
            "space_name": "nb201",
            "task_ref": "mnist1d",
            "task_id": "mnist1d-12345678",
            "task_name": "mnist1d",
            "seed": 0,
            "budget": Budget(trials=40),
            "settings": {},
            "sources": {},
        }
        return ledger.runs.create(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def new_trials() -> NewTrials:
    """Makes trials to open, one per name."""

    def make(*names: str, seed: int = 0) -> list[NewTrial]:
        return [
            NewTrial(
                architecture=Architecture.of({"edge": name}),
                fidelity="8ep",
                seed=seed,
                origin=Origin.ARCHITECT,
            )
            for name in names
        ]

    return make


@pytest.fixture(scope="session")
def rule() -> Callable[..., Rule]:
    """Makes a rule from pairs of slot and choice."""

    def make(*pairs: tuple[str, str], stance: Any = "require") -> Rule:
        conditions = [SlotCondition(slot=slot, choices=(choice,)) for slot, choice in pairs]
        return Rule(stance=stance, all=tuple(conditions))

    return make


@pytest.fixture(scope="session")
def measured() -> Callable[..., Evidence]:
    """Makes a measurement."""

    def make(run_id: str, principle: int, version: int, up_to: int, **changes: Any) -> Evidence:
        fields: dict[str, Any] = {
            "look": 1,
            "n_in": 5,
            "n_out": 7,
            "effect": 0.5,
            "low": 0.1,
            "high": 0.9,
            "p_value": 0.01,
            "doubly_robust": 0.4,
            "points": 1.5,
            "top_loss": 0.01,
            "top_loss_high": 0.03,
            "kept": 0.4,
            "standing": Standing.SUPPORTED,
            "supporting": (1, 2),
            "contradicting": (3,),
        }
        fields.update(changes)
        return Evidence(run_id=run_id, principle=principle, version=version, up_to=up_to, **fields)

    return make
