"""Rules read from the words that they are written in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.errors import ToolError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rule_words import looks_like_a_rule, read_rule
from vitruvius.spaces.rules import Condition, RangeCondition, Rule, SlotCondition, TrendCondition
from vitruvius.spaces.rules import words as in_words
from vitruvius.spaces.space import SearchSpace

NAMES = ("nb201", "macro", "recurrent", "flexibert", "transnas")


def conditions(space: SearchSpace) -> st.SearchStrategy[Condition]:
    named = [f.name for f in space.features]
    trended = [f.name for f in space.features if f.kind != "bool"]
    number = st.integers(-40, 40).map(lambda n: n / 8)
    kinds: list[st.SearchStrategy[Condition]] = []
    for slot in space.slots:
        choices = st.lists(st.sampled_from(slot.names), min_size=1, max_size=3, unique=True)
        kinds.append(choices.map(lambda c, s=slot.name: SlotCondition(slot=s, choices=tuple(c))))
    name = st.sampled_from(named)
    kinds.append(st.builds(RangeCondition, feature=name, at_least=number))
    kinds.append(st.builds(RangeCondition, feature=name, at_most=number))
    kinds.append(
        st.builds(
            lambda f, a, b: RangeCondition(feature=f, at_least=min(a, b), at_most=max(a, b)),
            name,
            number,
            number,
        )
    )
    up = st.sampled_from(["up", "down"])
    kinds.append(st.builds(TrendCondition, feature=st.sampled_from(trended), trend=up))
    return st.one_of(kinds)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_rule_comes_back_from_its_words(name: str, data: st.DataObject) -> None:
    space = load_space(name)
    rule = Rule(
        stance=data.draw(st.sampled_from(["require", "avoid"])),
        all=tuple(data.draw(st.lists(conditions(space), min_size=1, max_size=3))),
    )
    assert read_rule(in_words(rule), space).key == rule.key


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("edge_0_3 = nor_conv_3x3", "edge_0_3 = nor_conv_3x3"),
        ("Avoid edge_0_3 is none.", "not (edge_0_3 = none)"),
        ("prefer nor_conv_1x1 or nor_conv_3x3 at edge_0_3",
         "edge_0_3 is one of nor_conv_1x1, nor_conv_3x3"),
        ("depth at least 2 and pooling is at most 1", "depth >= 2 and pooling <= 1"),
        ("large mean_depth", "mean_depth on the upper side of its median"),
        ("Use architectures with small pooling and EDGE_0_3 = NONE",
         "pooling on the lower side of its median and edge_0_3 = none"),
        ("1 <= depth <= 2", "1 <= depth <= 2"),
        ("depth = 2", "2 <= depth <= 2"),
    ],
)  # fmt: skip
def test_people_may_say_it_in_other_ways(said: str, means: str) -> None:
    assert in_words(read_rule(said, load_space("nb201"))) == means


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("dept >= 2", r"knows no 'dept' \(nearest: .*depth"),
        ("edge_0_3 = nor_conv", r"no choice 'nor_conv' \(nearest: nor_conv_"),
        ("depth > 2", "write >= or <= for depth"),
        ("3 <= depth <= 1", "at_least 3 lies above at_most 1"),
        ("depth >= 1 or pooling >= 1", "cannot read 'or pooling >= 1'"),
        (" and ".join(["depth >= 1"] * 4), "one to three conditions, got 4"),
        ("", "knows no ''"),
        ("finish soon", "it knows: edge_0_1, .*NAME = CHOICE"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_is_near(said: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        read_rule(said, load_space("nb201"))


def test_a_note_does_not_look_like_a_rule() -> None:
    assert not looks_like_a_rule("please try wider networks at the end")
    assert looks_like_a_rule("widht >= 8")
