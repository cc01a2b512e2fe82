"""Principles in plain words: understood where they name the space, refused where they do not."""

from pathlib import Path

import numpy as np
import pytest

from vitruvius.agents.chat.plain_words import understood
from vitruvius.errors import ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import Rule, SlotCondition, words
from vitruvius.spaces.space import SearchSpace


@pytest.fixture(scope="module")
def small() -> SearchSpace:
    return load_space(f"{Path(__file__).parents[1] / 'runs/tiny.py'}:space")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("a 3x3 convolution from input to output helps", "edge_0_3 = nor_conv_3x3"),
        ("avoid pooling on edge_0_1", "not (edge_0_1 = avg_pool_3x3)"),
        ("skip connections are bad", "not (share(kind=skip) on the upper side of its median)"),
        ("deep cells are good", "depth on the upper side of its median"),
        ("no fewer than 2 paths and no more than 3 depth", "paths >= 2 and depth <= 3"),
        ("bananas", None),
        ("convolutions everywhere", None),  # two kernels: which one is not said
    ],
)
def test_cells(cell: Cell, said: str, rule: str | None) -> None:
    check(cell, said, rule)


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("use relu", "activation = relu"),
        ("tanh hurts", "not (activation = tanh)"),
        ("wide networks work better", "width on the upper side of its median"),
        ("width at least 8 and normalisation yes", "width >= 8 and norm = yes"),
        ("width between 2 and 8", "2 <= width <= 8"),
        ("more than 4 width", "width >= 5"),
        ("narrow width", "width on the lower side of its median"),
        ("avoid networks without a norm", None),
    ],
)
def test_slots(small: SearchSpace, said: str, rule: str | None) -> None:
    check(small, said, rule)


def check(space: SearchSpace, said: str, rule: str | None) -> None:
    if rule is not None:
        assert words(understood(said, space)) == rule
        return
    with pytest.raises(ToolError, match="names nothing of this space"):
        understood(said, space)


def test_rules_are_read_as_they_are_shown(cell: Cell) -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        slot = cell.slots[int(rng.integers(len(cell.slots)))]
        count = int(rng.integers(1, 4))
        choices = tuple(str(c) for c in rng.choice(slot.names, count, replace=False))
        stance = "require" if rng.random() < 0.5 else "avoid"
        rule = Rule(stance=stance, all=(SlotCondition(slot=slot.name, choices=choices),))
        assert understood(words(rule), cell).key == rule.key
