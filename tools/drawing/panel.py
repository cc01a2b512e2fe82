"""Architectures that are no graph: every slot with its choices, or the space's own text."""

from __future__ import annotations

from vitruvius.spaces.space import Architecture, SearchSpace, Slot
from vitruvius.tools.drawing.graph import Hue, short
from vitruvius.tools.drawing.shapes import LINE, box, colour, svg_element, width_of, words
from vitruvius.tools.safe_text import clean

ROW = 26.0
TICK = 9.0  # a choice that was not taken
MOST_TICKS = 16
MOST_LINES = 60


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
