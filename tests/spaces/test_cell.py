"""The NAS-Bench-201 cell: canonical form, features, networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.builders.convolutional import CellModule
from vitruvius.spaces.cells.cell import SLOTS, Cell, from_string, to_string
from vitruvius.spaces.cells.cell_classes import OPERATIONS, all_cells, representatives
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Signature

CLASSES = 4930


def raw(operations: tuple[str, ...] | list[str]) -> Architecture:
    return Architecture.of({s.name: op for s, op in zip(SLOTS, operations, strict=True)})


cells = st.tuples(*(st.sampled_from(OPERATIONS) for _ in SLOTS)).map(raw)


@pytest.fixture(scope="module")
def space() -> Cell:
    return Cell()


@pytest.fixture(scope="module")
def table(shared_data: Path, space: Cell) -> pd.DataFrame:
    columns = ["arch", "iso_rep", "c10_test_200", "c10_params_m_derived"]
    frame = pd.read_parquet(shared_data / "nas_bench_201.parquet", columns=columns)
    frame["raw"] = [from_string(text) for text in frame.arch]
    frame["ours"] = [space.canonical(architecture) for architecture in frame.raw]
    return frame


def test_every_published_class_lies_inside_one_of_ours(table: pd.DataFrame) -> None:
    assert table.iso_rep.nunique() == 6466
    assert (table.groupby("iso_rep").ours.nunique() == 1).all()
    assert table.ours.nunique() == CLASSES


def test_classes_are_as_even_as_the_published_ones(table: pd.DataFrame) -> None:
    spread = {}
    for column in ("iso_rep", "ours"):
        deviation = table.groupby(column).c10_test_200.std()  # NaN for a class of one
        spread[column] = deviation.median()
    assert spread["ours"] == pytest.approx(0.156, abs=0.001)
    assert spread["iso_rep"] == pytest.approx(0.159, abs=0.001)


def test_canonical_form_of_every_cell_is_legal_and_its_own(space: Cell) -> None:
    members = set(space.members())
    for operations in all_cells():
        canonical = space.canonical(raw([OPERATIONS[op] for op in operations]))
        assert canonical in members
        assert space.canonical(canonical) == canonical
    assert len(members) == CLASSES


def test_canonical_cells_have_no_dead_edges(space: Cell) -> None:
    for architecture in space.members():
        used = {edge for edge, op in architecture.spec.items() if op != "none"}
        on_paths = {
            edge
            for path in (("0_3",), ("0_1", "1_3"), ("0_2", "2_3"), ("0_1", "1_2", "2_3"))
            if {f"edge_{step}" for step in path} <= used
            for edge in (f"edge_{step}" for step in path)
        }
        assert used == on_paths, architecture


def outputs_with_tied_weights() -> np.ndarray:
    """Evaluates all 15,625 cells on numbers: [15625, 4].

    Every 3x3 convolution is one fixed non-linear function, every 1x1 another, every pooling a
    third; not linear either, so that nothing but the shape of the sum can make cells equal.
    """
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 4, 4))

    def carried(operation: np.ndarray, node: np.ndarray) -> np.ndarray:
        branches = [np.zeros_like(node), node]
        for weight in weights:
            out = np.tanh(node @ weight + 0.1 * np.abs(node)) * 2
            branches.append(out * (node != 0).any(axis=1, keepdims=True))
        return np.stack(branches)[operation, np.arange(len(node))]

    edges = all_cells()
    source = np.tile(rng.normal(size=4), (len(edges), 1))
    first = carried(edges[:, 0], source)
    second = carried(edges[:, 1], source) + carried(edges[:, 2], first)
    return sum(carried(edges[:, 3 + i], node) for i, node in enumerate((source, first, second)))


def test_classes_are_exactly_the_functions_under_tied_weights() -> None:
    outputs = outputs_with_tied_weights().round(9) + 0.0
    chosen = representatives()
    np.testing.assert_allclose(outputs, outputs[chosen], atol=1e-9)
    assert len(np.unique(outputs, axis=0)) == len(np.unique(chosen)) == CLASSES


@settings(max_examples=40, deadline=None)
@given(cell=cells, dims=st.sampled_from([1, 2]))
def test_a_canonical_network_computes_what_the_raw_one_does(cell: Architecture, dims: int) -> None:
    torch.manual_seed(0)
    shape = (3, 4, *(6 for _ in range(dims)))
    shared = {op: CellModule(dims, 4, {"edge_0_3": op}) for op in OPERATIONS if op != "none"}

    def output(architecture: Architecture) -> torch.Tensor:
        module = CellModule(dims, 4, architecture.spec).double().eval()
        for edge, op in architecture.spec.items():
            if op != "none":
                weights = shared[op].edges["edge_0_3"].state_dict()
                module.edges[edge].load_state_dict(weights)
        with torch.no_grad():
            result: torch.Tensor = module(inputs)
        return result

    inputs = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(output(cell), output(Cell().canonical(cell)))


@pytest.mark.parametrize("dims", [1, 2])
def test_pooling_averages_over_what_is_there_at_the_border(dims: int) -> None:
    module = CellModule(dims, 2, {"edge_0_3": "avg_pool_3x3"})
    ramp = torch.arange(5.0).expand(1, 2, *(5 for _ in range(dims)))
    expected = torch.tensor([0.5, 1, 2, 3, 3.5]).expand_as(ramp)
    torch.testing.assert_close(module(ramp), expected)


def test_parallel_equal_convolutions_are_not_one(space: Cell) -> None:
    one = {"edge_0_3": "nor_conv_3x3"}
    two = {**one, "edge_0_1": "nor_conv_3x3", "edge_1_3": "skip_connect"}
    rest = dict.fromkeys((slot.name for slot in SLOTS), "none")
    assert space.parse({**rest, **one}) != space.parse({**rest, **two})


def test_neighbours_are_one_edge_apart_mutual_and_connect_all_cells(space: Cell) -> None:
    near = {cell: space.neighbours(cell) for cell in space.members()}
    assert all(cell in near[other] for cell, others in near.items() for other in others)
    reached, queue = set(), [space.members()[0]]
    while queue:
        cell = queue.pop()
        if cell not in reached:
            reached.add(cell)
            queue.extend(near[cell])
    assert len(reached) == CLASSES
    for cell in list(near)[::331]:  # each change of the canonical cell itself is among them
        for slot in SLOTS:
            for op in OPERATIONS:
                changed = space.canonical(Architecture.of({**cell.spec, slot.name: op}))
                assert changed == cell or changed in near[cell]


def test_sampler_is_uniform_over_raw_cells(space: Cell) -> None:
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20_000)]
    everything_dead = raw(["none"] * 6)
    expected = (representatives() == 0).mean()  # cell 0 has no operation
    assert drawn.count(everything_dead) / len(drawn) == pytest.approx(expected, abs=0.005)


def paths_by_hand(spec: dict[str, str]) -> list[list[str]]:
    paths = [[(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)]]
    carried = [[spec[f"edge_{i}_{j}"] for i, j in path] for path in paths]
    return [path for path in carried if "none" not in path]


@settings(max_examples=200, deadline=None)
@given(cell=cells)
def test_path_features_match_a_slow_count(cell: Architecture) -> None:
    space = Cell()
    canonical = space.canonical(cell)
    row = space.featurise([canonical])[0]
    values = {f.name: x for f, x in zip(space.features, row, strict=True)}
    paths = paths_by_hand(canonical.spec)
    convs = [sum("conv" in op for op in path) for path in paths]
    assert values["paths"] == len(paths)
    assert values["path(skip, input -> output)"] == any(set(p) == {"skip_connect"} for p in paths)
    assert values["path(conv, input -> output)"] == any(convs)
    assert values["depth"] == max(convs, default=0)
    assert values["shallowest"] == min(convs, default=0)
    assert values["mean_depth"] == pytest.approx(np.mean(convs) if convs else 0)
    assert values["depth(kernel=3)"] == max((p.count("nor_conv_3x3") for p in paths), default=0)
    assert values["pooling"] == max((p.count("avg_pool_3x3") for p in paths), default=0)
    assert sum(x for name, x in values.items() if name.startswith("paths(")) == len(paths)
    mixed = ["avg_pool_3x3", "nor_conv_1x1"]
    assert values["paths(conv1x1+pool)"] == sum(
        sorted(op for op in path if op != "skip_connect") == mixed for path in paths
    )
    shares = [op in ("nor_conv_1x1", "nor_conv_3x3") for op in canonical.spec.values()]
    assert values["share(kind=conv)"] == pytest.approx(np.mean(shares))


@settings(deadline=None)
@given(cell=cells)
def test_benchmark_strings_round_trip(cell: Architecture) -> None:
    assert from_string(to_string(cell)) == cell
    assert Cell().parse(to_string(cell)) == Cell().canonical(cell)


@pytest.mark.parametrize("text", ["", "|none~0|", "|none~0|+|none~0|none~1|+|none~0|none~1|x~2|"])
def test_other_strings_are_refused(text: str) -> None:
    with pytest.raises(ToolError, match=r"operation|expected a cell like"):
        Cell().parse(text)


def test_published_size_has_the_published_parameter_counts(table: pd.DataFrame) -> None:
    space = load_space("nb201:channels=16,cells=5,reduction=residual")
    for row in table.sample(40, random_state=0).itertuples():
        with torch.device("meta"):
            network = space.build(row.raw, Signature(input_shape=(3, 32, 32), outputs=10))
        params = sum(p.numel() for p in network.parameters())
        assert params == round(row.c10_params_m_derived * 1e6)


@pytest.mark.parametrize(
    ("option", "shape", "larger"),
    [("channels=16", (1, 40), True), ("cells=2", (1, 40), True), ("stages=2", (1, 40), False),
     ("reduction=residual", (1, 40), True)],
)  # fmt: skip
def test_every_option_changes_what_is_built(
    option: str, shape: tuple[int, ...], larger: bool
) -> None:
    plain, changed = load_space("nb201"), load_space(f"nb201:{option}")
    assert plain.id != changed.id
    assert changed.ref == f"nb201:{option}"
    assert load_space(changed.ref) == changed
    cell = raw(["nor_conv_3x3"] * 6)
    sizes = [
        sum(
            p.numel()
            for p in space.build(cell, Signature(input_shape=shape, outputs=10)).parameters()
        )
        for space in (plain, changed)
    ]
    assert (sizes[1] > sizes[0]) == larger


@pytest.mark.parametrize("shape", [(1,), (1, 3), (3, 8, 3), (1, 2, 2, 2)])
def test_an_input_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"shape"):
        Cell().build(raw(["none"] * 6), Signature(input_shape=shape, outputs=10))


@pytest.mark.parametrize("size", [7, 9, 10])
def test_odd_sizes_pass_both_reductions(size: int) -> None:
    for reduction in ("pool", "residual"):
        network = Cell(reduction=reduction).build(
            raw(["none"] * 6), Signature(input_shape=(1, size, size), outputs=3)
        )
        assert network(torch.zeros(2, 1, size, size)).shape == (2, 3)


def test_a_cell_without_operations_still_learns(space: Cell) -> None:
    network = space.build(raw(["none"] * 6), Signature(input_shape=(1, 16), outputs=3))
    network(torch.randn(4, 1, 16)).sum().backward()
    assert network.classifier.bias.grad is not None


def test_drawing_shows_sums_and_the_benchmark_string() -> None:
    cell = raw(["nor_conv_3x3", "none", "avg_pool_3x3", "skip_connect", "nor_conv_1x1", "none"])
    lines = Cell().draw(cell).splitlines()
    assert lines[0] == "node 1 = nor_conv_3x3(input)"
    assert lines[2] == "output = input + nor_conv_1x1(node 1)"
    assert lines[3] == to_string(cell)


def test_spaces_load_without_torch() -> None:
    code = (
        "import sys; from vitruvius.spaces.registry import load_space;"
        "[s.describe() for s in map(load_space, ('nb201', 'macro'))];"
        "sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root / "src", check=False)
    assert done.returncode == 0
