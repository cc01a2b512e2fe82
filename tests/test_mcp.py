"""The MCP server over real stdio, asked by the SDK's own client."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from small_table import SLOTS, write_tables

SRC = Path(__file__).parents[1] / "src"


@pytest.fixture
def table(tmp_path: Path) -> str:
    write_tables(tmp_path)
    return f"table:{tmp_path}/near.csv,columns={';'.join(SLOTS)}"


def talk(home: Path, scenario: Callable[[Client], Awaitable[None]]) -> None:
    """Lets a scenario talk to a server of its own."""

    async def session() -> None:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "vitruvius", "mcp", "--home", str(home)],
            env={**os.environ, "PYTHONPATH": str(SRC)},
        )
        async with Client(server) as client:
            await scenario(client)

    asyncio.run(session())


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


def test_an_agent_starts_a_search_follows_it_and_questions_it(tmp_path: Path, table: str) -> None:
    async def scenario(client: Client) -> None:
        started = await call(
            client, "search", task=f"{table},metric=accuracy", space=table, budget="16 trials",
            model="analyst",
        )  # fmt: skip
        run = started["run"]["id"]
        ended = await call(client, "wait", run=run, seconds=120)
        assert ended["run"]["status"] == "done"
        assert ended["spent"]["trials"] == 16
        best = (await call(client, "trials", run=run, best=3))["result"]
        assert best[0]["value"] >= best[1]["value"]
        assert best[0]["trial"] in ended["best"]["search"]["trials"]
        shown = await call(client, "show", run=run)
        assert {"principles", "cuts", "best"} <= set(shown)
        for principle in shown["principles"]:
            history = (await call(client, "why", principle=principle["name"]))["result"]
            assert history[-1]["name"] == principle["name"]
        listed = (await call(client, "runs"))["result"]
        assert [row["id"] for row in listed] == [run]
        report = await client.read_resource(f"vitruvius://runs/{run}/report")
        assert run in report.contents[0].text  # type: ignore[union-attr]
        trials = await client.read_resource(f"vitruvius://runs/{run}/trials")
        assert len(json.loads(trials.contents[0].text)) == 16  # type: ignore[union-attr]

    talk(tmp_path / "home", scenario)


def test_a_fork_and_a_wish_reach_the_ledger(tmp_path: Path, table: str) -> None:
    async def scenario(client: Client) -> None:
        started = await call(
            client, "search", task=f"{table},metric=accuracy", space=table, budget="12 trials",
            model="analyst",
        )  # fmt: skip
        run = started["run"]["id"]
        await call(client, "wait", run=run, seconds=120)
        fork = (await call(client, "fork", run=run, at=4))["run"]["id"]
        wish = await call(client, "steer", run=fork, call={"tool": "note", "text": "look wider"})
        assert wish["status"] == "open"
        refused = await client.call_tool("steer", {"run": fork, "call": {"tool": "dance"}})
        assert refused.is_error

    talk(tmp_path / "home", scenario)


def test_mistakes_come_back_as_sentences(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        answer = await client.call_tool("search", {"task": "nothing.py:task"})
        assert answer.is_error
        assert "nothing.py" in answer.content[0].text  # type: ignore[union-attr]
        with pytest.raises(MCPError, match="no run"):
            await client.read_resource("vitruvius://runs/261122-aaaa/report")

    talk(tmp_path / "home", scenario)
