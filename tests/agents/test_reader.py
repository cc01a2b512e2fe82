import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.agents.model.reader import UnreadableReply, json_values, read_calls

NAMES = ("train", "recall")
CALL = {"tool": "recall", "query": "deep cells"}
NATIVE = '{"name": "recall", "arguments": {"query": "deep cells"}}'

# What Qwen2.5-Coder, SmolLM2, Llama and others were seen to write instead of a native tool call.
FORMS = {
    "bare": NATIVE,
    "tool_call tags": f"<tool_call>\n{NATIVE}\n</tool_call>",
    "tools tags": f"<tools>\n{NATIVE}\n</tools>",
    "unclosed tag": f"<tool_call>\n{NATIVE}",
    "code fence": f"Here you are:\n```json\n{NATIVE}\n```\nDone.",
    "doubled outer braces": '{{"name": "recall", "arguments": {"query": "deep cells"}}}',
    "doubled braces": '{{"name": "recall", "arguments": {{"query": "deep cells"}}}}',
    "trailing comma": '{"name": "recall", "arguments": {"query": "deep cells",},}',
    "arguments as text": json.dumps(
        {"name": "recall", "arguments": json.dumps({"query": "deep cells"})}
    ),
    "flat": '{"tool": "recall", "query": "deep cells"}',
    "name as key": '{"recall": {"query": "deep cells"}}',
    "wrapped": '{"decision": {"tool": "recall", "query": "deep cells"}}',
    "in a list": f"[{NATIVE}]",
    "protocol": json.dumps({"tool_calls": [{"type": "function", "function": json.loads(NATIVE)}]}),
    "parameters": '{"name": "recall", "parameters": {"query": "deep cells"}}',
    "think block": f'<think>maybe {{"tool": "train"}}</think>{NATIVE}',
    "only the end of a think block": f'maybe {{"tool": "train"}}</think>\n{NATIVE}',
    "function tags": "<function=recall><parameter=query>deep cells</parameter></function>",
    "name tags": '<tools><name>recall</name><arguments>{"query": "deep cells"}</arguments></tools>',
    "prose with braces": f"I use {{x}} and [y]. {NATIVE}",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_reads_as_the_same_call(text: str) -> None:
    assert read_calls(text, NAMES)[0] == CALL


def test_an_unknown_tool_is_kept_for_the_check_to_name() -> None:
    assert read_calls('{"name": "fly", "arguments": {"to": "moon"}}', NAMES) == [
        {"tool": "fly", "to": "moon"}
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("<think>forever and", "empty"),
        ("I would train a cell.", "prose"),
        ('{"name": "recall", "arguments": {"query": "dee', "no complete JSON"),
        ('{"colour": "red"}', "names no tool"),
        ("[NaN]", "no complete JSON"),
    ],
)
def test_what_is_no_call_is_named(text: str, said: str) -> None:
    with pytest.raises(UnreadableReply, match=said):
        read_calls(text, NAMES)


def test_nested_lists_beyond_reason_are_unreadable() -> None:
    with pytest.raises(UnreadableReply):
        read_calls("[" * 50_000 + "]" * 50_000, NAMES)


def test_hostile_text_is_read_in_little_time() -> None:
    started = time.process_time()
    for text in ("{{" * 30_000, '{"a":' * 10_000, "<think>" * 9_000, "[1," * 20_000):
        with pytest.raises(UnreadableReply):
            read_calls(text, NAMES)
    assert time.process_time() - started < 5


PIECES = st.sampled_from(
    ["{", "}", "{{", "}}", "[", "]", '"', ":", ",", "\\", "<tool_call>", "</tool_call>", "<tools>",
     "```json", "```", "<think>", "</think>", "<function=train>", "<parameter=a>", "</parameter>",
     '"name"', '"tool"', '"arguments"', "train", "recall", "NaN", "1e999", "\ud800", "\x00", NATIVE]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join)))
def test_reading_raises_nothing_but_its_own_error(text: str) -> None:
    try:
        calls = read_calls(text, NAMES)
    except UnreadableReply:
        return
    assert calls
    assert all(isinstance(call["tool"], str) for call in calls)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.lists(JSON, max_size=3), st.dictionaries(st.text(max_size=4), JSON, max_size=3)
        ),
        max_size=3,
    )
)
def test_json_between_prose_is_found_whole(values: list[Any]) -> None:
    text = " and then ".join(json.dumps(value) for value in values)
    assert list(json_values(text)) == values
