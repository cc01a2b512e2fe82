"""Graphs, slots and text as one SVG element that follows the colours of the page around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tools.drawing.graph import Edge, Graph, Hue, Node
from vitruvius.tools.drawing.graphs import graph_of
from vitruvius.tools.drawing.layout import Box, Layout, Spot, lay_out
from vitruvius.tools.drawing.panel import panel
from vitruvius.tools.drawing.shapes import LINE, box, colour, svg_element, width_of, words
from vitruvius.tools.safe_text import clean

ROW_GAP = 30.0
LABELLED_GAP = 36.0
_HEAD = 7.0  # of an arrow


def draw_svg(space: SearchSpace, architecture: Architecture) -> str:
    """Returns a picture of an architecture as an `<svg>` element for a page or a notebook.

    Cells and recurrent cells are graphs, stacks a column; of other spaces with slots every slot
    shows which of its choices was taken; the rest is the text that the space draws. Colours are the
    CSS variables `--ink`, `--blue`, ... where a page sets them. Names are escaped.
    """
    graph = graph_of(space, architecture)
    if graph is None:
        return panel(space, architecture)
    boxes = {node.name: _box(node) for node in graph.nodes}
    labels = {place: _label(edge) for place, edge in enumerate(graph.edges) if edge.label}
    layout = lay_out(
        boxes,
        [(edge.start, edge.end) for edge in graph.edges],
        labels,
        row_gap=LABELLED_GAP if labels else ROW_GAP,
    )
    title = clean(architecture.text, 2000)
    return svg_element(layout.width, layout.height, title, "".join(_parts(graph, layout)))


def _box(node: Node) -> Box:
    if node.is_dot:
        return Box(width=20, height=20)
    wide = max(width_of(line) for line in node.lines)
    return Box(width=wide + 18, height=LINE * len(node.lines) + 9)


def _label(edge: Edge) -> Box:
    return Box(width=width_of(edge.label) + 12, height=LINE + 5)


def _parts(graph: Graph, layout: Layout) -> Iterator[str]:
    for place, edge in enumerate(graph.edges):
        yield from _edge(edge, place, layout)
    for node in graph.nodes:
        yield _node(node, layout.spots[node.name])


def _node(node: Node, spot: Spot) -> str:
    if node.is_dot:
        circle = f'<circle cx="{spot.x:.1f}" cy="{spot.y:.1f}" r="9.5" style="'
        style = f"fill:{colour('paper')};stroke:{colour('ink')};stroke-width:1.2"
        return f'{circle}{style}"/>' + words(spot.x, spot.y, node.lines[0])
    round_ = spot.height / 2 if node.is_end else 5
    found = box(spot.x, spot.y, spot.width, spot.height, node.hue, round_=round_)
    first = spot.y - LINE * (len(node.lines) - 1) / 2
    return found + "".join(
        words(spot.x, first + LINE * row, line) for row, line in enumerate(node.lines)
    )


def _edge(edge: Edge, place: int, layout: Layout) -> Iterator[str]:
    spots = [layout.spots[name] for name in layout.ways[place]]
    hue = edge.hue if edge.hue != Hue.PLAIN else Hue.PASSING
    end = spots[-1]
    tip = end.y - end.height / 2
    path = [f"M{spots[0].x:.1f} {spots[0].y + spots[0].height / 2:.1f}"]
    for before, spot in itertools.pairwise(spots):
        low = before.y + before.height / 2
        high = tip - _HEAD + 1 if spot is end else spot.y - spot.height / 2
        half = (low + high) / 2
        path.append(
            f"L{before.x:.1f} {low:.1f}C{before.x:.1f} {half:.1f} {spot.x:.1f} {half:.1f} "
            f"{spot.x:.1f} {high:.1f}"
        )
    dash = ";stroke-dasharray:4 3" if edge.is_dashed else ""
    yield (
        f'<path d="{"".join(path)}" style="fill:none;stroke:{colour(hue)};stroke-width:1.6{dash}"/>'
        f'<path d="M{end.x:.1f} {tip:.1f}l-4 -{_HEAD:g}h8z" style="fill:{colour(hue)}"/>'
    )
    if place in layout.labels:
        spot = layout.spots[layout.labels[place]]
        yield box(spot.x, spot.y, spot.width, spot.height, hue)
        yield words(spot.x, spot.y, edge.label)
