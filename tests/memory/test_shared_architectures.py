"""Architectures that two spaces write alike are found, and no others."""

import numpy as np

from vitruvius.memory.transfer.space_overlap import look_up, scores_here
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.cells.transnas import TransNas
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, SearchSpace, Slot

NB201, TRANSNAS = Cell(), TransNas()
EDGES = sorted(slot.name for slot in NB201.slots)


def cell(space: SearchSpace, *operations: str) -> Architecture:
    return space.parse(dict(zip(EDGES, operations, strict=True)))


def found(
    source: SearchSpace, target: SearchSpace, known: Architecture, asked: Architecture
) -> float:
    return float(look_up(target.featurise([asked]), scores_here(source, target, {known: 2.5}))[0])


def test_in_one_family_every_architecture_is_its_own_twin() -> None:
    rng = np.random.default_rng(0)
    known = {NB201.sample(rng): float(place) for place in range(50)}
    there = Cell(channels=8, cells=3)
    scores = look_up(there.featurise(list(known)), scores_here(NB201, there, known))
    assert scores.tolist() == list(known.values())
    assert np.isnan(found(NB201, NB201, *list(known)[:2]))


def test_the_same_cell_is_known_in_another_space() -> None:
    operations = ("nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "none", "nor_conv_3x3")
    assert found(NB201, TRANSNAS, cell(NB201, *operations), cell(TRANSNAS, *operations)) == 2.5
    assert found(TRANSNAS, NB201, cell(TRANSNAS, *operations), cell(NB201, *operations)) == 2.5


def test_an_operation_that_one_lacks_has_no_twin() -> None:
    known = cell(NB201, *["avg_pool_3x3"] * 6)
    assert scores_here(NB201, TRANSNAS, {known: 1.0}) == {}
    assert scores_here(NB201, Macro(), {known: 1.0}) == {}


def test_all_twins_are_found_that_only_the_target_tells_apart() -> None:
    """A skip from the input is a projection in half of the cells of one space only."""
    conv, skip, none = "nor_conv_1x1", "skip_connect", "none"
    written = (none, none, conv, none, none, none), (skip, none, none, none, conv, none)
    one, other = (cell(NB201, *operations) for operations in written)
    assert one == other
    apart = [cell(TRANSNAS, *operations) for operations in written]
    assert apart[0] != apart[1]
    assert [found(NB201, TRANSNAS, one, each) for each in apart] == [2.5, 2.5]


def test_a_space_too_large_to_list_knows_those_it_is_told_of() -> None:
    kinds = tuple(Choice(name=name) for name in "abcdef")
    few, many = (
        SlotSpace(name, [Slot(name=f"layer_{n}", choices=choices) for n in range(6)])
        for name, choices in (("few", kinds[:3]), ("many", kinds))
    )
    assert many.members() is None
    spec = {slot.name: "b" for slot in few.slots}
    assert found(few, many, few.parse(spec), many.parse(spec)) == 2.5
