"""The real dev server, driven by the SDK: start, stream, answer questions, go on, fork."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from small_table import SLOTS, write_tables

from vitruvius import api
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus

ROOT = Path(__file__).parents[1]
STARTS_S = 120.0
T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """A dev server and the home that its runs live in."""

    url: str
    home: Path
    request: dict[str, Any]

    def talk(self, scenario: Callable[[LangGraphClient], Awaitable[T]]) -> T:
        """Returns what a scenario comes to with a client of its own."""

        async def session() -> T:
            async with get_client(url=self.url) as client:
                return await scenario(client)

        return asyncio.run(session())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    write_tables(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    table = f"table:{folder}/near.csv,columns={';'.join(SLOTS)}"
    request = {
        "task": f"{table},metric=accuracy",
        "space": table,
        "budget": "6 trials",
        "model": "analyst",
    }
    home = folder / "home"
    environment = {
        **os.environ,
        "VITRUVIUS_HOME": str(home),
        "PYTHONPATH": str(ROOT / "src"),
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    }
    for name in ("LANGSMITH_TRACING", "LANGSMITH_API_KEY", "OPENAI_BASE_URL"):
        environment.pop(name, None)
    (folder / "langgraph.json").write_text((ROOT / "langgraph.json").read_text())
    log = folder / "server.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload",
             "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process, log)
        yield Served(url, home, request)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/ok").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


async def thread_of(client: LangGraphClient) -> str:
    return (await client.threads.create())["thread_id"]


def test_the_graphs_say_what_they_take_and_give(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> None:
        found = {a["graph_id"]: a for a in await client.assistants.search()}
        assert set(found) == {"search", "chat"}
        assert all(assistant["description"] for assistant in found.values())
        schemas = await client.assistants.get_schemas(found["search"]["assistant_id"])
        taken = schemas["input_schema"]["properties"]
        assert all(field["description"] for field in taken.values())
        assert {"run_id", "task", "space", "budget", "ask"} <= set(taken)
        assert set(schemas["output_schema"]["properties"]) == {"run_id", "status", "report"}

    served.talk(scenario)


STEPS = (
    "recall", "prune", "wishes", "architect", "approve", "act", "reflect", "verify", "confirm",
    "report",
)  # fmt: skip


def test_the_search_is_drawn_node_by_node(served: Served) -> None:
    async def scenario(client: LangGraphClient, *, xray: bool) -> tuple[set[str], set[Any]]:
        (found,) = await client.assistants.search(graph_id="search")
        drawn = await client.assistants.get_graph(found["assistant_id"], xray=xray)
        edges = {(edge["source"], edge["target"]) for edge in drawn["edges"]}
        return {str(node["id"]) for node in drawn["nodes"]}, edges

    for xray in (False, True):
        names, edges = served.talk(partial(scenario, xray=xray))
        assert names == {"__start__", "enter", *STEPS, "__end__"}
        assert {("enter", "recall"), ("architect", "approve"), ("act", "reflect")} <= edges
        assert {source for source, target in edges if target == "__end__"} == {"enter", "report"}


def test_a_stream_names_the_nodes_as_they_run(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> list[str]:
        thread = await thread_of(client)
        return [
            name
            async for part in client.runs.stream(
                thread,
                "search",
                input=served.request,
                stream_mode=["updates"],
                config={"recursion_limit": 5},  # of a client that knows short graphs
            )
            if part.event == "updates"
            for name in part.data
        ]

    names = served.talk(scenario)
    assert names[:4] == ["enter", "recall", "prune", "architect"]
    assert names[-1] == "report"
    assert set(names) == {"enter", *STEPS} - {"wishes", "approve"}


def test_a_cancelled_search_lets_go_of_its_run(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> str:
        thread = await thread_of(client)
        wide = served.request | {"budget": "400 trials"}
        going = await client.runs.create(thread, "search", input=wide)
        run = ""
        while not run:
            await asyncio.sleep(0.1)
            run = ((await client.threads.get_state(thread))["values"] or {}).get("run_id", "")
        await client.runs.cancel(thread, going["run_id"], wait=True)
        return run

    run = served.talk(scenario)
    with Ledger.open(served.home) as ledger:
        assert ledger.runs.get(run).status == RunStatus.INTERRUPTED


def test_a_search_streams_what_happens_and_its_run_is_in_the_ledger(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> tuple[list[str], dict[str, Any]]:
        thread, kinds = await thread_of(client), []
        async for part in client.runs.stream(
            thread, "search", input=served.request, stream_mode=["custom"]
        ):
            if part.event == "custom":
                kinds.append(part.data["kind"])
        return kinds, dict((await client.threads.get_state(thread))["values"])

    kinds, values = served.talk(scenario)
    assert kinds[0] == "started"
    assert kinds[-1] == "done"
    assert kinds.count("trial_done") == 6
    assert values["status"] == "done"
    assert values["run_id"] in values["report"]
    with Ledger.open(served.home) as ledger:
        assert len(ledger.trials.of(values["run_id"])) == 6


def test_questions_interrupt_the_thread_and_answers_are_heard(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> tuple[int, dict[str, Any]]:
        thread, asked = await thread_of(client), 0
        answer = await client.runs.wait(thread, "search", input=served.request | {"ask": True})
        while "__interrupt__" in answer:
            asked += 1
            assert answer["__interrupt__"][0]["value"]["call"]["tool"] in ("train", "prune")
            said = (
                {"approved": False, "reason": "try another"} if asked == 1 else {"approved": True}
            )
            answer = await client.runs.wait(thread, "search", command={"resume": said})
        return asked, dict((await client.threads.get_state(thread))["values"])

    asked, values = served.talk(scenario)
    assert asked > 1
    assert values["status"] == "done"
    with Ledger.open(served.home) as ledger:
        first = ledger.steps.decisions(values["run_id"])[0]
        assert "try another" in str(first.outcome)
        assert len(ledger.trials.of(values["run_id"])) == 6


def test_a_run_of_another_thread_is_forked(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> tuple[str, str]:
        first, second = await thread_of(client), await thread_of(client)
        ask = served.request | {"ask": True}
        await client.runs.wait(first, "search", input=ask)
        run = (await client.threads.get_state(first))["values"]["run_id"]
        await client.runs.wait(second, "search", input={"run_id": run})
        return run, (await client.threads.get_state(second))["values"]["run_id"]

    run, fork = served.talk(scenario)
    with Ledger.open(served.home) as ledger:
        assert ledger.runs.get(fork).forked_from == run
        assert len(ledger.trials.of(fork)) == 6
        assert not ledger.trials.of(run)  # its thread still waits for an answer


def test_a_mistake_comes_back_as_its_sentence(served: Served) -> None:
    async def scenario(client: LangGraphClient) -> None:
        wrong = served.request | {"budget": "many trials"}
        await client.runs.wait(await thread_of(client), "search", input=wrong)

    with pytest.raises(Exception, match="budget"):
        served.talk(scenario)


def test_a_conversation_asks_before_it_trains_and_answers_from_the_ledger(served: Served) -> None:
    request = {name: text for name, text in served.request.items() if name != "model"}
    run = api.create(**request, model="analyst", home=served.home).id
    cell = json.dumps(dict.fromkeys(SLOTS, "b"))

    async def scenario(client: LangGraphClient) -> tuple[Any, Any, str]:
        thread = await thread_of(client)
        asked = await client.runs.wait(
            thread, "chat", input={"run_id": run, "text": f"/train {cell}"}
        )
        done = await client.runs.wait(thread, "chat", command={"resume": {"approved": True}})
        best = await client.runs.wait(thread, "chat", input={"run_id": run, "text": "/best"})
        return asked["__interrupt__"][0]["value"], done, best["reply"]

    question, done, best = served.talk(scenario)
    assert question["call"]["tool"] == "train"
    assert "T1" in done["reply"]
    assert "T1" in best
    with Ledger.open(served.home) as ledger:
        (trial,) = ledger.trials.of(run)
        assert trial.architecture.spec == dict.fromkeys(SLOTS, "b")
