"""No node blocks the event loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from runs.helpers import LOOKUP, SPACE

import vitruvius as vt
from vitruvius.memory.records import RunStatus


@pytest.fixture
def blockbuster() -> Iterator[BlockBuster]:
    with blockbuster_ctx() as found:
        yield found


def test_nodes_never_block(blockbuster: BlockBuster, tmp_path: Path) -> None:
    run = vt.search(
        LOOKUP, SPACE, "24 trials", home=tmp_path, workers=2, model="analyst", control=0.1,
        ask=lambda question: {"approved": True},
    )  # fmt: skip
    assert run.record.status == RunStatus.DONE
