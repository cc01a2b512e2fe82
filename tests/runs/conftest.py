"""Runs of the whole loop on trainings that take milliseconds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs.helpers import LOOKUP, SPACE

import vitruvius as vt


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def search(home: Path) -> Callable[..., vt.SearchRun]:
    """Starts a small search with the analyst; any argument of `vt.search` may be given."""

    def start(**given: Any) -> vt.SearchRun:
        chosen = {
            "task": LOOKUP,
            "space": SPACE,
            "budget": "14 trials",
            "workers": 1,
            "model": "analyst",
            "home": home,
        } | given
        return vt.search(**chosen)

    return start


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process that imports this checkout."""
    source = str(Path(__file__).parents[2] / "src")
    return os.environ | {"PYTHONPATH": source, "COLUMNS": "200"}
