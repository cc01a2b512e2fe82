"""A call comes back as its own class, and a row that nobody can read breaks nothing."""

from typing import Any

import pytest

from vitruvius.memory.decisions import Call, NoCall, read_stored
from vitruvius.tools.calls.note import Note


def test_a_row_comes_back_as_the_class_of_its_tool() -> None:
    assert read_stored({"tool": "note", "text": "try more width", "wish": 3}) == Note(
        text="try more width"
    )
    assert read_stored({"text": "I would rather not."}) == NoCall(text="I would rather not.")


@pytest.mark.parametrize(
    "written",
    [
        {"tool": "train", "architectures": ["not json"], "reason": "r"},
        {"tool": "train", "architectures": None},
        {"tool": "note"},
        {"tool": "fly", "height": 3},
    ],
)
def test_a_row_of_another_version_is_a_call_without_arguments(written: dict[str, Any]) -> None:
    call = read_stored(written)
    assert type(call) is Call
    assert call.tool == written["tool"]
