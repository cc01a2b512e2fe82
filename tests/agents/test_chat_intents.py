"""What a person means without a model: plain forms, commands, and an honest no."""

from typing import Any

import pytest

from vitruvius.agents.chat.commands import commands, completed, help_rows, intent_of, read_command
from vitruvius.agents.chat.tools import check_call, tool_schemas
from vitruvius.errors import ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.tools.questions.registry import QUESTIONS, is_question

WHY_T17 = {"tool": "why", "name": "T17"}


@pytest.mark.parametrize(
    ("said", "call"),
    [
        ("why is T17 best", WHY_T17),
        ("Why is T17 the best one?", WHY_T17),
        ("Why was nor_conv_1x1 pruned?", {"tool": "why", "name": "nor_conv_1x1"}),
        ("why did you make cut 2?", {"tool": "why", "name": "2"}),
        ("why is P3 supported?", {"tool": "why", "name": "P3"}),
        ("Why is that the best?", {"tool": "why", "name": "best"}),
        ("what helps", {"tool": "helps"}),
        ("compare T3 and T9", {"tool": "compare", "first": "T3", "second": "T9"}),
        ("is T3 better than T9?", {"tool": "compare", "first": "T3", "second": "T9"}),
        ("what did you learn", {"tool": "learned"}),
        ("what should I try next", {"tool": "next"}),
        ("What should we do?", {"tool": "next"}),
        ("show me the worst ones", {"tool": "trials", "sort": "worst"}),
        ("the best 5 please", {"tool": "trials", "sort": "best", "limit": 5}),
        ("what is the best network?", {"tool": "best"}),
        ("tell me about T4", {"tool": "trial", "trial": "T4"}),
        ("what has it cost?", {"tool": "budget"}),
        ("what failed?", {"tool": "report", "section": "failures"}),
        ("what is pruned?", {"tool": "region"}),
        ("note: look at width 12", {"tool": "note", "text": "look at width 12"}),
        ("undo cut 2", {"tool": "prune", "action": "undo", "cut": 2}),
        ("retire P4", {"tool": "retire", "principle": "P4"}),
        ("fork at step 12", {"tool": "fork", "at": 12, "budget": None}),
        ("/fork", {"tool": "fork", "at": None, "budget": None}),
        ("/fork 3 with 60 trials, 8h", {"tool": "fork", "at": 3, "budget": "60 trials, 8h"}),
        ("/trials worst 3 conv",
         {"tool": "trials", "sort": "worst", "limit": 3, "holding": ["conv"]}),
    ],
)  # fmt: skip
def test_a_plain_question_becomes_a_tool_call(said: str, call: dict[str, Any]) -> None:
    assert intent_of(said) == call


@pytest.mark.parametrize("said", ["hello", "Sing me a song", "what is the weather like", "?"])
def test_what_is_not_understood_is_not_guessed(said: str) -> None:
    assert intent_of(said) is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/nonsense", "there is no command /nonsense"),
        ("/compare T3", "/compare T3 T9"),
        ("/undo it", "/undo CUT"),
        ("/teach", "plain words"),
        ("/train", "a trial to start from"),
        ("/train T3 width", "SLOT=CHOICE"),
        ("/train {", "no JSON"),
        ("/fork two", "number of a step"),
        ("/best of all", "takes nothing more"),
    ],
)
def test_a_wrong_command_is_told_its_use(typed: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        read_command(typed)


def test_every_command_is_a_tool_of_the_conversation(cell: Cell) -> None:
    tools = tool_schemas(cell)
    assert set(QUESTIONS) <= set(tools)
    assert set(commands()) - {"undo", "teach"} <= set(tools)
    assert len(help_rows()) == len(commands())


def test_schemas_are_flat_objects(cell: Cell) -> None:
    for name, (about, schema) in tool_schemas(cell).items():
        assert about, name
        assert schema["type"] == "object"
        assert "$ref" not in str(schema)
        assert "null" not in str(schema)
        assert set(schema["required"]) <= set(schema["properties"])


def test_a_training_starts_from_a_trial(cell: Cell) -> None:
    spec = {slot.name: slot.names[0] for slot in cell.slots} | {"edge_0_3": "nor_conv_3x3"}
    call = read_command("/train T3 edge_0_3=skip_connect")
    whole = completed(call, lambda name: spec, cell)
    assert whole["architectures"][0]["edge_0_3"] == "skip_connect"
    with pytest.raises(ToolError, match="has no slot 'edge_9_9'"):
        completed(read_command("/train T3 edge_9_9=none"), lambda name: spec, cell)
    checked = check_call(whole, cell)
    assert "skip_connect" in checked["architectures"][0]
    assert not is_question(checked)
