"""Spaces of fixed form: construction, moves, parsing."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Builder, Choice, Signature, Slot


def named(name: str, *choices: str) -> Slot:
    return Slot(name=name, choices=tuple(Choice(name=each) for each in choices))


def numbered(name: str, *values: float) -> Slot:
    return Slot(name=name, choices=tuple(Choice(name=f"{v:g}", value=v) for v in values))


@pytest.fixture
def space() -> SlotSpace:
    return SlotSpace("toy", [named("shape", "round", "flat"), numbered("size", 1, 2, 4)])


@pytest.mark.parametrize(
    ("slots", "sentence"),
    [
        ([], "at least one slot"),
        ([named("a", "x"), named("a", "y")], "different names; repeated: a"),
        ([named("a", "x", "x")], "choices of slot 'a'"),
        ([named("a")], "no choices"),
        ([named(f"s{i}", *"abcdefg") for i in range(10)], "70 features"),
    ],
)
def test_a_space_that_cannot_be_is_refused(slots: list[Slot], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        SlotSpace("toy", slots)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (None, "expected an object with a choice for each of shape, size, got None"),
        ({"shape": "round"}, "slot size must be one of 1, 2, 4, but is missing"),
        ({"shape": "square", "size": "1"}, "slot shape must be one of round, flat, not 'square'"),
        ({"shape": "round", "size": 3}, "slot size must be one of 1, 2, 4, not 3"),
        ({"shape": "round", "size": True}, "not True"),
        ({"shape": ["round"], "size": 1}, "slot shape must be one of"),
        ({"form": "x", "size": 9}, "no slot 'form'; the slots are shape, size; slot shape must"),
    ],
)
def test_parse_names_what_is_wrong_and_what_is_allowed(
    space: SlotSpace, spec: object, sentence: str
) -> None:
    with pytest.raises(ToolError) as caught:
        space.parse(spec)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("size", ["2", 2, 2.0])
def test_parse_takes_a_number_for_an_ordinal(space: SlotSpace, size: object) -> None:
    assert space.parse({"size": size, "shape": "flat"}).spec == {"shape": "flat", "size": "2"}


def test_neighbours_differ_in_one_slot(space: SlotSpace) -> None:
    here = space.parse({"shape": "flat", "size": 2})
    near = [architecture.spec for architecture in space.neighbours(here)]
    assert near == [
        {"shape": "round", "size": "2"},
        {"shape": "flat", "size": "1"},
        {"shape": "flat", "size": "4"},
    ]


def test_features_hold_choices_numbers_and_shares() -> None:
    conv = Choice(name="conv", traits={"kind": "conv", "kernel": 3})
    pool = Choice(name="pool", traits={"kind": "pool", "kernel": 3})
    space = SlotSpace(
        "toy", [Slot(name=n, choices=(conv, pool)) for n in "ab"] + [numbered("size", 1, 2)]
    )
    row = space.featurise([space.parse({"a": "conv", "b": "pool", "size": 2})])[0]
    assert dict(zip((f.name for f in space.features), row.tolist(), strict=True)) == {
        "a=conv": 1, "a=pool": 0, "b=conv": 0, "b=pool": 1, "size": 2,
        "share(kind=conv)": 1 / 3, "share(kernel=3)": 2 / 3, "share(kind=pool)": 1 / 3,
    }  # fmt: skip


def test_id_follows_everything_that_changes_what_is_built(space: SlotSpace) -> None:
    slots = space.slots
    others = [
        SlotSpace("toy2", slots),
        SlotSpace("toy", slots[:1]),
        SlotSpace("toy", [named("shape", "round", "oval"), slots[1]]),
        SlotSpace("toy", slots, options={"scale": 2}),
    ]
    assert len({space.id, *(other.id for other in others)}) == 5
    assert SlotSpace("toy", slots).id == space.id
    assert SlotSpace("toy", slots) == space


def test_a_space_is_a_builder_when_it_can_build(space: SlotSpace) -> None:
    assert not isinstance(space, Builder)

    def build(architecture: Architecture, signature: Signature) -> None:
        raise AssertionError

    assert isinstance(SlotSpace("toy", space.slots, build=build), Builder)


def test_a_build_of_other_arguments_is_refused(space: SlotSpace) -> None:
    def build(architecture: Architecture, input_shape: tuple[int, ...], outputs: int) -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="two arguments, an architecture and a Signature"):
        SlotSpace("toy", space.slots, build=build)


def test_large_spaces_do_not_list_members() -> None:
    space = SlotSpace("large", [numbered(f"s{i}", 1, 2, 3) for i in range(12)])
    assert space.members() is None
    assert len(SlotSpace("small", space.slots[:3]).members() or ()) == 27


def test_a_space_of_one_has_no_moves() -> None:
    space = SlotSpace("one", [named("a", "x")])
    only = space.sample(np.random.default_rng(0))
    assert space.neighbours(only) == []
    with pytest.raises(ToolError, match="no change of one slot"):
        space.mutate(only, np.random.default_rng(0))


def test_description_and_drawing_name_slots_and_choices(space: SlotSpace) -> None:
    assert "- size: 1, 2, 4" in space.describe()
    drawing = space.draw(space.parse({"shape": "flat", "size": 4}))
    assert drawing.splitlines() == ["shape  flat", "size   4"]
