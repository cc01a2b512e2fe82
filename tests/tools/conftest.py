"""The toy space and task of `toys.py`, named as a user would name them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Fidelity, Task
from vitruvius.tools.training.evaluation import Request

TOYS = Path(__file__).with_name("toys.py")


@pytest.fixture(scope="session")
def toy_space() -> SearchSpace:
    return load_space(f"{TOYS}:space")


@pytest.fixture(scope="session")
def toy_task() -> Task:
    return load_task(f"{TOYS}:task")


@pytest.fixture(scope="session")
def toy_request() -> Callable[..., Request]:
    def make(
        result_id: int, kind: str, *, seed: int = 1, epochs: int = 3, data: float = 1.0
    ) -> Request:
        return Request(
            result_id=result_id,
            architecture=Architecture.of({"kind": kind}),
            fidelity=Fidelity(epochs=epochs, data=data),
            seed=seed,
        )

    return make
