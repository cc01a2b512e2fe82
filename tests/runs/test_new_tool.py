"""A new tool is one class and one line of the registry: a toy shows it at every door."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field
from runs.helpers import LOOKUP, SPACE

from vitruvius.agents.chat.commands import help_rows, read_command
from vitruvius.agents.chat.tools import check_call, tool_schemas
from vitruvius.agents.model.schemas import decision_union, in_words, native_tools
from vitruvius.api import create
from vitruvius.memory.decisions import Decision
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import WishStatus
from vitruvius.memory.records import DecisionStatus
from vitruvius.spaces.region import Region
from vitruvius.spaces.registry import load_space
from vitruvius.tools.calls import registry
from vitruvius.tools.calls.tool import Command, Engine, ProposalContext, Reason, Tool

MCP = pytest.importorskip("vitruvius.servers.mcp")
EXAMPLE = '{"tool": "dice", "sides": 6}'


def _sides(words: Sequence[str], rest: str) -> dict[str, Any]:
    return {"tool": "dice", "sides": int(rest)}


class Dice(Tool):
    """Roll a die, and learn nothing from it."""

    FOR_ARCHITECT: ClassVar[bool] = True
    FOR_PEOPLE: ClassVar[bool] = True
    IS_WISH: ClassVar[bool] = True
    COMMANDS: ClassVar[Sequence[Command]] = (
        Command(usage="/dice SIDES", about="roll a die", read=_sides),
    )
    EXAMPLES: ClassVar[Sequence[str]] = (EXAMPLE,)

    tool: Literal["dice"] = "dice"
    sides: int = Field(ge=2, le=100, description="of the die")
    reason: Reason = ""

    async def carry_out(self, engine: Engine, decision: Decision) -> str | None:
        return f"a die of {self.sides} sides fell"


@pytest.fixture(autouse=True)
def with_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TOOLS", [*registry.TOOLS, Dice])


def test_a_model_is_told_of_it_and_may_decide_it() -> None:
    space = load_space("nb201")
    context = ProposalContext(space=space, region=Region(space), evaluated={}, k=2)
    words, schema = registry.offers(context)["dice"]
    assert words == "Roll a die, and learn nothing from it."
    assert schema["properties"]["sides"] == {
        "type": "integer", "minimum": 2, "maximum": 100, "description": "of the die",
    }  # fmt: skip
    assert schema["required"] == ["sides"]
    assert "dice" in [t["function"]["name"] for t in native_tools(registry.offers(context))]
    assert '"const": "dice"' in str(decision_union(context)).replace("'", '"')
    assert "- dice: Roll a die" in in_words(registry.offers(context), "tool")
    asked = registry.read_decision({"tool": "dice", "sides": 6})
    assert asked.check(context).decision == Dice(sides=6)


def test_a_conversation_has_it_as_a_tool_and_as_a_command() -> None:
    space = load_space("nb201")
    assert tool_schemas(space)["dice"][1]["required"] == ["sides"]
    call = read_command("/dice 6")
    assert check_call(call, space) == {"tool": "dice", "sides": 6, "reason": ""}
    assert ("/dice SIDES", "roll a die") in help_rows()


def test_coding_agents_read_of_it_where_they_steer(tmp_path: Path) -> None:
    tools = asyncio.run(MCP.create_server(tmp_path).list_tools())
    (steer,) = [tool for tool in tools if tool.name == "steer"]
    assert EXAMPLE in steer.description


def test_as_a_wish_it_becomes_a_decision_that_is_carried_out(home: Path) -> None:
    run = create(
        home=home, workers=1, model="analyst", task=LOOKUP, space=SPACE, budget="20 trials"
    )
    run.steer({"tool": "dice", "sides": 12, "reason": "luck"}, author="ada")
    run.carry_out()
    with Ledger.open(home) as ledger:
        (wish,), (decision,) = ledger.requests.wishes(run.id), ledger.steps.decisions(run.id)
    assert (wish.status, wish.words) == (WishStatus.DONE, "a die of 12 sides fell")
    assert (decision.status, decision.author) == (DecisionStatus.CARRIED_OUT, "ada")
    assert decision.call == wish.call == Dice(sides=12, reason="luck")
    assert decision.written == {"tool": "dice", "sides": 12, "reason": "luck", "wish": wish.id}
