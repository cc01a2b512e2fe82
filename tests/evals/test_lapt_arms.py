"""LAPT's arms: the same search whoever sits in the chair, a model asked as often as published."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vitruvius.agents.model.scripted_server import ScriptedServer, say
from vitruvius.errors import ConfigError
from vitruvius.evals.arms.arm import Given
from vitruvius.evals.arms.lapt import NB201, Counting
from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.evaluation import Wanted, _narrowed
from vitruvius.evals.oracle import Oracle, Spent, Truth
from vitruvius.evals.protocols import all_protocols
from vitruvius.spaces.cells.cell import Cell
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask


@pytest.fixture(scope="module")
def truths(shared_data: Path) -> tuple[Truth, Truth]:
    found = []
    for metric in ("in16", "c10"):
        task = load_task(f"table:{shared_data / 'nas_bench_201.parquet'},metric={metric}")
        assert isinstance(task, TabularTask)
        found.append(Truth.of(Cell(), task))
    return found[0], found[1]


def search(truths: tuple[Truth, Truth], arm: str, queries: int = 20, seed: int = 0) -> Oracle:
    source, target = truths
    good = sorted(source.values, key=lambda a: -source.values[a][0])[:50]
    oracle = Oracle(target, queries)
    with suppress(Spent):
        find_arm(arm).run(Given(space=target.space, oracle=oracle, seed=seed, good=[good]))
    return oracle


def test_a_model_that_counts_searches_as_counting_does(
    truths: tuple[Truth, Truth], chat_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's answers are those of `Counting`; then the whole search is the same."""
    source, target = truths
    chair = Counting(target.space, NB201.choices)
    learned = chair.learn(sorted(source.values, key=lambda a: -source.values[a][0])[:50])
    steps = {"Step 1": learned}
    frozen = search(truths, "lapt nb201", 10)  # before the first adaptation

    def answer(body: Any) -> Any:
        return say(json.dumps({"principles": ["Count."], "operations": steps["Step 1"]}))

    chat_server.otherwise = answer
    monkeypatch.setenv("VITRUVIUS_MODEL", "scripted")
    monkeypatch.setenv("VITRUVIUS_BASE_URL", chat_server.url)
    oracle = search(truths, "lapt nb201 model")
    assert list(oracle.asked)[:10] == list(frozen.asked)
    assert len(oracle.asked) == 20
    assert len(chat_server.bodies) == 1 + len(NB201.adapt_at)
    told = [body["messages"][1]["content"] for body in chat_server.bodies]
    assert not any(str(a) in told[0] for a in set(oracle.asked) - set(source.values))
    assert all("Count." in text for text in told[1:])


def test_an_arm_that_needs_a_model_says_so(
    truths: tuple[Truth, Truth], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRUVIUS_MODEL", "analyst")
    with pytest.raises(ConfigError, match="this arm needs a model"):
        search(truths, "lapt nb201 model")


def test_an_arm_of_no_protocol_may_be_named() -> None:
    protocol = all_protocols()["lapt_nb201"]
    assert "lapt nb201 model" not in protocol.arms
    wanted = Wanted(
        protocols=[protocol], arms=["lapt nb201 model", "cold"], data=Path(), out=Path()
    )
    assert _narrowed(protocol, wanted).arms == ("cold", "lapt nb201 model")
