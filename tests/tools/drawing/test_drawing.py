"""Pictures of architectures: complete, legible, and no way in for hostile names."""

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest

from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, SearchSpace, Slot
from vitruvius.tools.drawing import draw_svg
from vitruvius.tools.drawing.layout import Box, Layout, lay_out
from vitruvius.tools.drawing.picture_graph import Graph, graph_of

HOSTILE = "\"><script>alert('1')</script>&"
FAMILIES = ("nb201", "transnas", "recurrent", "macro", "flexibert", "flexibert_full")


def drawn(space: SearchSpace, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def words(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter("text")]


def placed(graph: Graph) -> Layout:
    boxes = {node.name: Box(width=60, height=24) for node in graph.nodes}
    labels = {i: Box(width=90, height=20) for i, edge in enumerate(graph.edges) if edge.label}
    return lay_out(boxes, [(e.start, e.end) for e in graph.edges], labels, row_gap=30)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_is_xml_and_the_same_every_time(name: str) -> None:
    space = load_space(name)
    for architecture in drawn(space, 5):
        svg = draw_svg(space, architecture)
        root = ElementTree.fromstring(svg)
        assert root.tag == "svg"
        assert root.get("role") == "img"
        assert svg == draw_svg(space, architecture)


def test_a_cell_shows_every_operation_that_is_there() -> None:
    space = load_space("nb201")
    for cell in drawn(space, 40):
        operations = sorted(op for op in cell.spec.values() if op != "none")
        shown = [w for w in words(draw_svg(space, cell)) if w not in ("input", "output", "1", "2")]
        assert sorted(shown) == operations


def test_a_recurrent_cell_shows_every_node_and_input() -> None:
    space = load_space("recurrent")
    for cell in drawn(space, 10):
        graph = graph_of(space, cell)
        assert graph is not None
        inputs = sum(len(part["input"]) for part in cell.spec.values())
        states = sum(name.startswith("h_new_") for name in cell.spec)
        assert len(graph.edges) == inputs + states
        shown = words(draw_svg(space, cell))
        assert sum(w == "linear" for w in shown) == sum(
            part["op"] == "linear" for part in cell.spec.values()
        )


def test_a_stack_shows_every_block() -> None:
    space = load_space("macro")
    for architecture in drawn(space, 10):
        shown = words(draw_svg(space, architecture))
        blocks = [w for w in shown if w == f"convolution {architecture.spec['kernel']}"]
        assert len(blocks) == int(architecture.spec["depth"])


@pytest.mark.parametrize("name", FAMILIES)
def test_no_two_parts_overlap_and_every_edge_leads_down(name: str) -> None:
    space = load_space(name)
    for architecture in drawn(space, 8, seed=3):
        graph = graph_of(space, architecture)
        assert graph is not None
        layout = placed(graph)
        for a, b in itertools.combinations(layout.spots.values(), 2):
            apart_x = abs(a.x - b.x) >= (a.width + b.width) / 2
            apart_y = abs(a.y - b.y) >= (a.height + b.height) / 2
            assert apart_x or apart_y, (a, b)
        for way in layout.ways:
            heights = [layout.spots[name].y for name in way]
            assert heights == sorted(set(heights))


def test_cells_of_four_nodes_are_drawn_without_a_crossing() -> None:
    space = load_space("nb201")
    for cell in drawn(space, 60, seed=1):
        graph = graph_of(space, cell)
        assert graph is not None
        layout = placed(graph)
        steps = [
            (layout.spots[a], layout.spots[b])
            for way in layout.ways
            for a, b in itertools.pairwise(way)
        ]
        for (a, b), (c, d) in itertools.combinations(steps, 2):
            if a.rank == c.rank and len({a.name, b.name, c.name, d.name}) == 4:
                assert (a.x - c.x) * (b.x - d.x) > 0


def test_a_pool_is_drawn_as_its_space() -> None:
    space = load_space("nb201")
    cells = drawn(space, 3)
    assert draw_svg(Pool(space, cells), cells[0]) == draw_svg(space, cells[0])


def test_a_space_of_slots_shows_what_was_taken_and_escapes_names() -> None:
    space = SlotSpace(
        f"x{HOSTILE}",
        [
            Slot(name=HOSTILE, choices=(Choice(name=HOSTILE), Choice(name="plain"))),
            Slot(name="width", choices=tuple(Choice(name=str(n), value=n) for n in (1, 2))),
        ],
    )
    svg = draw_svg(space, space.parse({HOSTILE: HOSTILE, "width": "2"}))
    assert "<script" not in svg
    shown = words(svg)
    assert shown[0].startswith('"><script>alert')
    assert shown[-1] == "2"


def test_a_space_of_another_form_is_drawn_in_its_own_words() -> None:
    class Foreign:
        name, slots = "foreign", ()

        def draw(self, architecture: Architecture) -> str:
            return f"first {HOSTILE}\nsecond"

    svg = draw_svg(Foreign(), Architecture.of({"x": 1}))  # type: ignore[arg-type]
    assert words(svg) == [f"first {HOSTILE}", "second"]
