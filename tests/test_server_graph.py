"""The exported search graph without its server: short trainings first, a question, a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from small_table import SLOTS, write_tables

import vitruvius as vt
from vitruvius import api
from vitruvius.graphs.search import act as acting
from vitruvius.graphs.search import recall as recalling
from vitruvius.memory.records import RunStatus
from vitruvius.servers.search import SearchGraph, graph
from vitruvius.tools.report import SUMMARY

CONFIG: Any = {"configurable": {"thread_id": "one"}}
T = TypeVar("T")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    write_tables(tmp_path)
    monkeypatch.setenv("VITRUVIUS_HOME", str(tmp_path / "home"))
    table = f"table:{tmp_path}/near.csv,columns={';'.join(SLOTS)}"
    return {
        "task": f"{table},metric=accuracy",
        "space": table,
        "budget": "6 trials",
        "model": "analyst",
    }


def call(saver: InMemorySaver, scenario: Callable[[SearchGraph], Awaitable[T]]) -> T:
    """Returns what a scenario comes to in one call of the server."""

    async def called() -> T:
        async with graph() as made:
            return await scenario(made.copy(update={"checkpointer": saver}))

    return asyncio.run(called())


def test_short_trainings_come_first_and_then_the_run(tmp_path: Path, given: dict[str, Any]) -> None:
    lines = ["arch.p,arch.q,acc,epochs,train_s"]
    for place in range(16):
        cells = f"{'abcd'[place % 4]},{'abcd'[place // 4]}"
        lines += [f"{cells},{60 + place},1,2", f"{cells},{80 + place},10,20"]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    table = f"table:{tmp_path}/t.csv"
    run = vt.create(
        f"{table},metric=acc", table, "6 trials, 1h of training", model="analyst",
        fidelity_first="1ep",
    )  # fmt: skip

    async def scenario(made: SearchGraph) -> list[str]:
        given = {"run_id": run.id}
        return [
            name
            async for update in made.astream(given, CONFIG, stream_mode="updates")
            for name in update
        ]

    names = call(InMemorySaver(), scenario)
    assert names.count("recall") == names.count("report") == 2
    assert names.count("enter") == 1
    assert run.record.status == RunStatus.DONE
    assert run.record.parent is not None
    assert api.open(run.record.parent).record.status == RunStatus.DONE


def test_the_node_that_asked_finds_the_sources_of_the_run(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saver, recalled = InMemorySaver(), []
    recall = recalling.recall_principles

    def counted(session: Any) -> None:
        recalled.append(session.driver)
        recall(session)

    for module in ("vitruvius.servers.search", "vitruvius.graphs.search.recall"):
        monkeypatch.setattr(f"{module}.recall_principles", counted)

    async def ask(made: SearchGraph) -> Any:
        return await made.ainvoke(given | {"ask": True}, CONFIG)

    async def answer(made: SearchGraph) -> Any:
        return await made.ainvoke(Command(resume={"approved": True}), CONFIG)

    asked = call(saver, ask)
    assert asked["__interrupt__"][0].value["call"]["tool"] == "train"
    run = api.open(asked["run_id"])
    assert run.record.status == RunStatus.INTERRUPTED  # it has let go: another may take it up
    while "__interrupt__" in asked:
        asked = call(saver, answer)
    assert asked["status"] == "done"
    assert len(recalled) == len(set(recalled)) > 2  # once a driver


def test_what_ends_a_node_ends_the_drive_and_is_told(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise vt.VitruviusError("the disk is full")

    monkeypatch.setattr(acting, "carry_out", broken)
    run = vt.create(**given)

    async def scenario(made: SearchGraph) -> None:
        await made.ainvoke({"run_id": run.id}, CONFIG)

    with pytest.raises(vt.VitruviusError, match="the disk is full"):
        call(InMemorySaver(), scenario)
    assert run.record.status == RunStatus.INTERRUPTED
    assert "the disk is full" in (run.home / "runs" / run.id / SUMMARY).read_text()
