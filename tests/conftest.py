"""Fixtures that every floor's tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitruvius.agents.testing import ScriptedServer


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmark tables, which the project does not ship."""
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("VITRUVIUS_SHARED", root / "../shared")) / "data"
    if not (folder / "nas_bench_201.parquet").is_file():
        pytest.skip(f"no benchmark tables in {folder}; set VITRUVIUS_SHARED")
    return folder.resolve()


@pytest.fixture
def chat_server() -> Iterator[ScriptedServer]:
    """A scripted chat-completions server on loopback that makes native tool calls."""
    with ScriptedServer().running() as server:
        yield server
