"""The TransNAS-Bench-101 micro cell: codes, canonical form, features, networks, sizes."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import Cell, cell_of
from vitruvius.spaces.cells.cell_classes import (
    CONV1,
    CONV3,
    NONE,
    SKIP,
    TRANSNAS,
    CellKind,
    all_cells,
    representatives,
    structure,
    structure_columns,
)
from vitruvius.spaces.cells.transnas import TransNas, backbone_sizes, from_code, to_code
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tools.passes.flops import count_flops, count_params

CLASSES = 1376
PUBLISHED = "transnas:channels=64,modules=41414,cells=2,stem=strided"
# Parameters in millions with 63 outputs, as automl/NASLib recorded them of the benchmark's own
# networks (naslib/data/zc_transbench101_micro.json, commit e5a821c2, class_scene).
RECORDED_PARAMS = {
    "1_00_210": 0.910687,
    "1_00_223": 9.440607,
    "0_11_233": 16.256351,
    "1_10_312": 7.381087,
    "1_10_123": 9.103199,
    "3_10_022": 8.064351,
    "2_13_121": 9.614431,
    "0_13_111": 8.072287,
    "1_33_223": 23.237983,
}
# Median deviation within a class over its different trainings, on validation.
SPREAD = {
    "class_scene.valid_top1": 0.310,
    "class_object.valid_top1": 0.489,
    "room_layout.valid_neg_loss": 0.0092,
    "jigsaw.valid_top1": 1.086,
    "autoencoder.valid_ssim": 0.0102,
}


@pytest.fixture(scope="module")
def space() -> TransNas:
    return TransNas()


@pytest.fixture(scope="module")
def table(shared_data: Path, space: TransNas) -> pd.DataFrame:
    frame = pd.read_parquet(shared_data / "transnas_bench_101_micro.parquet")
    frame["ours"] = [space.canonical(from_code(code)) for code in frame.arch]
    return frame


def test_every_code_is_a_cell_and_back(space: TransNas) -> None:
    seen = set()
    for operations in all_cells(TRANSNAS).tolist():
        cell = cell_of(operations)
        code = to_code(cell)
        assert from_code(code) == from_code(code.removeprefix("64-41414-")) == cell
        assert space.parse(code) == space.canonical(cell)
        seen.add(code)
    assert len(seen) == 4096


def test_codes_are_read_as_the_benchmark_writes_them() -> None:
    spec = from_code("64-41414-1_02_333").spec  # the example of the benchmark's own page
    assert spec["edge_0_1"] == "skip_connect"
    assert (spec["edge_0_2"], spec["edge_1_2"]) == ("none", "nor_conv_1x1")
    assert {spec[f"edge_{i}_3"] for i in range(3)} == {"nor_conv_3x3"}


@pytest.mark.parametrize("code", ["", "1_02_33", "1_02_334", "32-41414-1_02_333", "64-1234-basic"])
def test_other_codes_are_refused(space: TransNas, code: str) -> None:
    with pytest.raises(ToolError, match="expected a cell like 64-41414-1_02_333"):
        space.parse(code)


def test_canonical_form_of_every_cell_is_legal_and_its_own(space: TransNas) -> None:
    members = set(space.members())
    assert len(members) == CLASSES
    for operations in all_cells(TRANSNAS).tolist():
        canonical = space.canonical(cell_of(operations))
        assert canonical in members
        assert space.canonical(canonical) == canonical


def test_what_is_equal_where_the_shape_changes_is_equal_where_it_does_not() -> None:
    chosen = representatives(TRANSNAS)
    plain = representatives(CellKind(operations=4, counts_repeats=True))
    np.testing.assert_array_equal(plain, plain[chosen])
    assert len(np.unique(plain)) < CLASSES  # and not the other way round


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1_00_030", "0_00_300", False),  # a convolution after a projection, and at once
        ("1_00_010", "0_00_100", True),  # a projection, however many skips follow
        ("1_01_001", "0_00_100", True),
        ("3_00_010", "0_00_300", True),  # a skip after a convolution
        ("1_30_012", "3_10_021", True),  # nodes 1 and 2 exchanged
        ("0_03_303", "0_00_300", True),  # convolutions of nothing
        ("3_01_011", "3_30_011", False),  # one convolution added twice, and two side by side
        ("0_00_000", "0_03_033", True),  # nothing reaches the output
    ],
)
def test_what_is_merged_and_what_is_not(one: str, other: str, same: bool) -> None:
    space = TransNas()
    assert (space.parse(one) == space.parse(other)) == same


Sum = tuple[str, ...]  # its terms, sorted


def values_by_hand(spec: dict[str, str]) -> tuple[Sum, Sum, dict[str, Sum]]:
    """Returns the output, the live operations and what each edge carries.

    The slow way to say what a cell that changes the shape computes, written without the code under
    test.
    """
    nodes: list[Sum] = [("x",)]
    carried: dict[str, Sum] = {}
    for j in (1, 2, 3):
        for i, value in enumerate(nodes):
            edge = f"edge_{i}_{j}"
            op = spec[edge]
            keeps = op == "skip_connect" and i > 0
            made = value if keeps else (f"{op}({' + '.join(value)})",)
            carried[edge] = () if op == "none" or not value else made
        nodes.append(tuple(sorted(term for i in range(j) for term in carried[f"edge_{i}_{j}"])))
    paths = (("0_3",), ("0_1", "1_3"), ("0_2", "2_3"), ("0_1", "1_2", "2_3"))
    live = {
        f"edge_{step}"
        for path in paths
        if all(spec[f"edge_{step}"] != "none" for step in path)
        for step in path
    }
    skips = {
        edge for edge in live if spec[edge] == "skip_connect" and not edge.startswith("edge_0")
    }
    held = tuple(sorted(term for edge in live - skips for term in carried[edge]))
    return nodes[3], held, carried


def test_classes_are_those_of_a_slow_reading() -> None:
    chosen = representatives(TRANSNAS)
    slow: dict[tuple[Sum, Sum], int] = {}
    for row, operations in enumerate(all_cells(TRANSNAS).tolist()):
        output, held, _ = values_by_hand(cell_of(operations).spec)
        expected = slow.setdefault((output, held), int(chosen[row]))
        assert chosen[row] == expected
    assert len(slow) == CLASSES


def tied_output(space: TransNas, cell: Architecture, inputs: torch.Tensor) -> torch.Tensor:
    """Returns what the whole network gives where operations with equal terms have equal weights.

    Biases are random too, but for operations on nothing, which count as zero.
    """
    network = (
        space.build(cell, Signature(input_shape=tuple(inputs.shape[1:]), outputs=5)).double().eval()
    )
    _, _, terms = values_by_hand(cell.spec)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if not tensor.is_floating_point() or name.endswith("running_var"):
            continue
        part, *rest = name.split(".")
        key = name
        if part.startswith("cell"):
            key = f"{part} {terms[rest[1]]} {rest[2:]}"
            if not terms[rest[1]] and name.endswith(("bias", "running_mean")):
                continue
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
        with torch.no_grad():
            drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.copy_(drawn / max(1, tensor[0].numel()) ** 0.5)
    with torch.no_grad():
        result: torch.Tensor = network(inputs)
    return result


@pytest.mark.parametrize("modules", ["414", "1231"])
def test_members_of_a_class_compute_the_same_on_the_whole_skeleton(modules: str) -> None:
    space = TransNas(channels=4, modules=modules, cells=2)
    inputs = torch.randn((2, 3, 9), generator=torch.Generator().manual_seed(0)).double()
    rng = np.random.default_rng(1)
    cells, chosen = all_cells(TRANSNAS), representatives(TRANSNAS)
    merged = np.flatnonzero(chosen != np.arange(len(chosen)))
    # one member of each of many classes, so that every kind of merge is among them
    _, first = np.unique(chosen[rng.permutation(merged)], return_index=True)
    for row in rng.permutation(merged)[first][:80]:
        one = tied_output(space, cell_of(cells[row]), inputs)
        other = tied_output(space, cell_of(cells[chosen[row]]), inputs)
        torch.testing.assert_close(one, other)


def test_cells_of_different_classes_compute_something_else(space: TransNas) -> None:
    inputs = torch.randn((2, 3, 9), generator=torch.Generator().manual_seed(0)).double()
    rng = np.random.default_rng(2)
    members = space.members()
    drawn = [members[row] for row in rng.choice(len(members), 100, replace=False)]
    outputs = {
        tuple(tied_output(space, cell, inputs).flatten().round(decimals=8).tolist()): cell
        for cell in drawn
    }
    functions = {values_by_hand(cell.spec)[0] for cell in drawn}  # repeats are told apart beside
    assert len(outputs) == len(functions) > 90


def test_members_of_a_class_agree_on_the_table_up_to_noise(table: pd.DataFrame) -> None:
    scores = [name for name in table if ".valid_" in name or ".test_" in name]
    repeated = table.groupby(scores).ours.nunique()
    assert (repeated == 1).all()  # trainings alike to the digit are of one class
    trainings = table.drop_duplicates(scores)
    assert len(trainings) == 2994
    for column, expected in SPREAD.items():
        within = trainings.groupby("ours")[column].std().median()  # NaN for a class of one
        assert within == pytest.approx(expected, rel=0.01)
        assert within < 0.2 * table[column].std()


def test_dead_convolutions_make_no_more_difference_than_another_training(
    table: pd.DataFrame,
) -> None:
    """Classes would be finer by one in five if convolutions of nothing were told apart."""
    scores = [name for name in table if ".valid_" in name or ".test_" in name]
    alive = table[table.ours != from_code("0_00_000")].drop_duplicates(scores)
    dead = [
        "; ".join(
            sorted(
                f"{op}{edge}"
                for edge, op in from_code(code).spec.items()
                if "conv" in op and not values_by_hand(from_code(code).spec)[2][edge]
            )
        )
        for code in alive.arch
    ]
    for column in SPREAD:
        by_class = alive.groupby("ours")[column].transform("mean")
        finer = alive.groupby([alive.ours, dead])[column]
        groups, classes = finer.ngroups, alive.ours.nunique()
        between = ((finer.transform("mean") - by_class) ** 2).sum() / (groups - classes)
        rest = ((alive[column] - finer.transform("mean")) ** 2).sum() / (len(alive) - groups)
        assert 0.7 < between / rest < 1.3  # an F ratio: 1 where there is nothing to tell apart


def test_features_named_as_those_of_nas_bench_201_mean_the_same(space: TransNas) -> None:
    cells = all_cells(TRANSNAS)
    theirs = {feature.name: feature for feature in Cell().features}
    for feature in space.features:
        assert theirs[feature.name].kind == feature.kind
    columns = structure_columns(TRANSNAS, cells)
    wide = structure_columns(CellKind(), cells)
    names = [feature.name for feature in structure(CellKind())]
    for feature, column in zip(structure(TRANSNAS), columns.T, strict=True):
        np.testing.assert_array_equal(column, wide[:, names.index(feature.name)])


@pytest.mark.parametrize("code", list(RECORDED_PARAMS))
def test_published_size_has_the_recorded_parameter_counts(code: str) -> None:
    with torch.device("meta"):
        network = load_space(PUBLISHED).build(
            from_code(code), Signature(input_shape=(3, 256, 256), outputs=63)
        )
    assert count_params(network) == round(RECORDED_PARAMS[code] * 1e6)


@pytest.mark.parametrize("code", ["0_00_000", "1_11_111", "1_02_333", "0_30_201", "3_33_333"])
def test_sizes_counted_without_building_are_those_of_the_network(code: str) -> None:
    image = Signature(input_shape=(3, 100, 100), outputs=7)
    with torch.device("meta"):
        network = load_space(PUBLISHED).build(from_code(code), image)
    operations = np.array([[int(digit) for digit in code.replace("_", "")]])
    params, flops = backbone_sizes(operations, side=100)
    assert count_params(network) == params[0] + 7 * 513
    assert count_flops(network, image) == flops[0] + 7 * 513


def test_operations_are_numbered_as_in_the_codes() -> None:
    assert (NONE, SKIP, CONV1, CONV3) == (0, 1, 2, 3)


@pytest.mark.parametrize("option", ["channels=16", "cells=2", "modules=4141", "stem=strided"])
def test_every_option_changes_what_is_built(option: str) -> None:
    plain, changed = load_space("transnas"), load_space(f"transnas:{option}")
    assert plain.id != changed.id
    assert changed.ref == f"transnas:{option}"
    assert load_space(changed.ref) == changed
    cell = from_code("3_33_333")
    sizes = {
        count_params(each.build(cell, Signature(input_shape=(3, 32, 32), outputs=10)))
        for each in (plain, changed)
    }
    assert len(sizes) == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("channels=1", "channels must be a whole number from 2, got 1"),
        ("cells=0", "cells must be a whole number from 1, got 0"),
        ("modules=450", "modules must be digits from 1 to 4, got 450"),
        ("stem=pool", "stem must be point or strided, got 'pool'"),
        ("stages=3", "has no option 'stages'"),
    ],
)
def test_wrong_options_are_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_space(f"transnas:{option}")


def test_an_input_that_cannot_be_halved_so_often_is_refused() -> None:
    small = Signature(input_shape=(3, 16, 16), outputs=10)
    with pytest.raises(ConfigError, match="cannot be halved 5 times"):
        load_space(PUBLISHED).build(from_code("0_00_000"), small)


def test_a_cell_without_operations_still_learns(space: TransNas) -> None:
    network = space.build(from_code("0_00_000"), Signature(input_shape=(1, 16), outputs=3))
    network(torch.randn(4, 1, 16)).sum().backward()
    assert network.classifier.bias.grad is not None
