"""Graphs, slots and text as one SVG element that follows the colours of the page around it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from html import escape

from vitruvius.spaces.space import Architecture, SearchSpace, Slot
from vitruvius.tools.drawing.layout import Box, Layout, Spot, lay_out
from vitruvius.tools.drawing.picture_graph import Edge, Graph, Hue, Node, graph_of, short
from vitruvius.tools.safe_text import clean

ROW_GAP = 30.0
LABELLED_GAP = 36.0
_HEAD = 7.0  # of an arrow


FONT = 12.0
LETTER = 6.7  # mean width of a letter; boxes are a little wider than their words
LINE = 15.0
MARGIN = 6.0
_ALONE = {
    "ink": "currentColor", "paper": "none", "grid": "#9aa2ab", "muted": "#7d8590",
    "blue": "#0072b2", "purple": "#a3387a", "green": "#00805e", "amber": "#a87500",
    "grey": "#7d8590",
}  # fmt: skip

ROW = 26.0
TICK = 9.0  # a choice that was not taken
MOST_TICKS = 16
MOST_LINES = 60


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


def svg_element(width: float, height: float, title: str, inside: str) -> str:
    """Returns the element around a picture; `inside` is markup, `title` is text."""
    w, h = width + 2 * MARGIN, height + 2 * MARGIN
    return (
        f'<svg class="architecture" role="img" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" '
        f'height="{h:.0f}" style="max-width:100%;height:auto;font:{FONT:g}px system-ui,sans-serif"'
        f"><title>{escape(title)}</title>"
        f'<g transform="translate({MARGIN:g} {MARGIN:g})">{inside}</g></svg>'
    )


def colour(name: str) -> str:
    """Returns a colour of the page, with one that will do where the page sets none."""
    return f"var(--{name},{_ALONE[name]})"


def words(x: float, y: float, text: str, *, anchor: str = "middle", hue: str = "ink") -> str:
    """Returns one line of text whose middle is at a height."""
    return (
        f'<text x="{x:.1f}" y="{y + 0.35 * FONT:.1f}" text-anchor="{anchor}" '
        f'style="fill:{colour(hue)}">{escape(text)}</text>'
    )


def width_of(text: str) -> float:
    """Returns about how wide a text is."""
    return LETTER * len(text)


def box(x: float, y: float, width: float, height: float, hue: str, *, round_: float = 5) -> str:
    """Returns a tinted box around a middle, opaque where the page has a paper."""
    place = (
        f'x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{round_:g}"'
    )
    tint = f"fill:{colour(hue)};fill-opacity:.13;stroke:{colour(hue)};stroke-width:1.2"
    return f'<rect {place} style="fill:{colour("paper")}"/><rect {place} style="{tint}"/>'


def panel(space: SearchSpace, architecture: Architecture) -> str:
    """Returns a row for each slot, the taken choice among the others; else the drawing in text."""
    spec = architecture.spec
    if not space.slots or not isinstance(spec, dict):
        return _text(space.draw(architecture), architecture)
    named = max(width_of(short(slot.name)) for slot in space.slots) + 14
    taken = max(width_of(short(str(spec.get(slot.name)))) for slot in space.slots) + 18
    rows = [
        _row(slot, str(spec.get(slot.name)), place * ROW + ROW / 2, named, taken)
        for place, slot in enumerate(space.slots)
    ]
    ticks = min(MOST_TICKS, max(len(slot.choices) for slot in space.slots))
    title = clean(architecture.text, 2000)
    return svg_element(named + taken + 12 + TICK * ticks, ROW * len(rows), title, "".join(rows))


def _row(slot: Slot, choice: str, y: float, named: float, taken: float) -> str:
    """Returns name, choice and, as small marks, which of the choices it is."""
    parts = [
        words(0, y, short(slot.name), anchor="start", hue="muted"),
        box(named + taken / 2, y, taken, LINE + 5, Hue.WEIGHTS),
        words(named + taken / 2, y, short(choice)),
    ]
    if len(slot.choices) <= MOST_TICKS:
        for place, name in enumerate(slot.names):
            x = named + taken + 14 + place * TICK
            hue = "blue" if name == choice else "grid"
            parts.append(
                f'<rect x="{x:.1f}" y="{y - 4:.1f}" width="6" height="8" rx="1.5" '
                f'style="fill:{colour(hue)}"/>'
            )
    return "".join(parts)


def _text(drawing: str, architecture: Architecture) -> str:
    lines = [clean(line) or " " for line in drawing.splitlines()[:MOST_LINES]] or [" "]
    found = [words(0, LINE * (row + 0.5), line, anchor="start") for row, line in enumerate(lines)]
    width = max(width_of(line) for line in lines)
    return svg_element(width, LINE * len(lines), clean(architecture.text, 2000), "".join(found))
