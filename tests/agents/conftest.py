"""Views, fallbacks and settings for the tests of the chairs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from vitruvius.agents.chairs.view import PrincipleView, Proposal, Rewrite, RunView
from vitruvius.agents.model.scripted_server import ScriptedServer
from vitruvius.budget import Budget
from vitruvius.memory.records import Origin, PrincipleVersion, ResultStatus, Spent, Standing, Trial
from vitruvius.settings import ModelChairs
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.region import Region
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Constraints, Fidelity, Metric
from vitruvius.tools.calls.train import Train

KEY = "no-look-alike-1234567890"


@dataclass(frozen=True)
class ToyTask:
    """Enough of a task for a page."""

    name: str = "toy"
    id: str = "toy-1"
    ref: str = "toy"
    metric: Metric = field(default=Metric(name="accuracy", unit="%"))
    constraints: Constraints = field(default=Constraints())
    fidelity: Fidelity = field(default=Fidelity(epochs=8))
    is_noisy: bool = True

    def describe(self) -> str:
        return "Toy images in ten classes."


@dataclass
class Stub:
    """Takes both chairs with fixed answers, as the analyst would."""

    architecture: Architecture
    asked: list[RunView] = field(default_factory=list)

    async def decide(self, view: RunView) -> Proposal:
        self.asked.append(view)
        return Proposal(
            decision=Train(architectures=[self.architecture.spec], reason="stub"), author="analyst"
        )

    async def rewrite(self, view: RunView) -> Rewrite:
        self.asked.append(view)
        return Rewrite(edits=(), author="analyst")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Settings that concern models."""

    model: str = "scripted"
    model_chairs: ModelChairs = "both"
    base_url: str | None = None
    api_key: SecretStr | None = field(default=SecretStr(KEY))
    model_timeout_s: float = 5.0
    prompt_tokens: int = 6000
    home: Path = Path("/nonexistent")


def trial(number: int, architecture: Architecture, value: float | None, **more: Any) -> Trial:
    given = {
        "run_id": "R",
        "number": number,
        "result_id": number,
        "decision_id": None,
        "architecture": architecture,
        "fidelity": "8ep",
        "seed": 0,
        "origin": Origin.ARCHITECT,
        "propensity": None,
        "reused": False,
        "status": ResultStatus.DONE if value is not None else ResultStatus.DIVERGED,
        "value": value,
        "train_s": 3.0,
        "params": 1234,
        "flops": 5678,
        "message": None,
    }
    return Trial(**(given | more))


def principle(number: int, rule: Rule, **more: Any) -> PrincipleView:
    given = {
        "principle": number,
        "version": 1,
        "statement": "Convolutions help.",
        "rule": rule,
        "space_name": "nb201",
        "task_name": "toy",
        "author": "analyst",
        "run_id": "R",
        "step": 3,
        "edit": "add",
        "rationale": "seen",
        "parents": (),
        "created": datetime(2026, 1, 1, tzinfo=UTC),
    }
    version = PrincipleVersion(**(given | more))
    return PrincipleView(
        version=version,
        standing=Standing.CANDIDATE,
        trust=0.0,
        source_effect=None,
        evidence=None,
    )


@pytest.fixture(scope="session")
def cell() -> Cell:
    return Cell()


@pytest.fixture(scope="session")
def cells(cell: Cell) -> list[Architecture]:
    """Forty different architectures."""
    rng = np.random.default_rng(5)
    return list(dict.fromkeys(cell.sample(rng) for _ in range(80)))[:40]


MakeView = Callable[..., RunView]


@pytest.fixture
def make_view(cell: Cell, cells: list[Architecture]) -> MakeView:
    """Makes a view with `n` trials of the first architectures; anything can be overridden."""

    def make(n: int = 6, **more: Any) -> RunView:
        trials = [trial(i + 1, cells[i], 80.0 + i) for i in range(n)]
        given: dict[str, Any] = {
            "run_id": "R",
            "step": 7,
            "seed": 1,
            "space": cell,
            "task": ToyTask(),
            "region": Region(cell, tuple(more.get("cuts", ()))),
            "trials": trials,
            "principles": (),
            "cuts": (),
            "decisions": (),
            "calibrations": (),
            "noise": 0.4,
            "budget": Budget(trials=40),
            "spent": Spent(trials=n, wall_s=1.0, tokens=0, dollars=0.0),
            "k": 4,
            "proxies": ("params", "naswot"),
        }
        return RunView(**(given | more))

    return make


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    return trial


@pytest.fixture
def make_principle() -> Callable[..., PrincipleView]:
    return principle


@pytest.fixture
def stub(cells: list[Architecture]) -> Stub:
    return Stub(cells[39])


@pytest.fixture
def wishes(chat_server: ScriptedServer) -> Callable[..., Wishes]:
    """Makes settings that point at the scripted server."""
    return lambda **more: Wishes(**({"base_url": chat_server.url} | more))


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Space and task of a whole run that is answered at once."""
    module = Path(__file__).parents[1] / "runs/tiny.py"
    return {"space": f"{module}:space", "task": f"{module}:lookup", "workers": 1}
