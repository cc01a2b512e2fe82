"""Rows of estimates with their intervals: what effects and calibrations look like."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitruvius.tools.plots.style import SMALL, plain, room

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette

LETTERS = 6.0  # of a label's line, for an inch of all
LINES, LINE = 2, 0.15  # most lines of a label, and the inches of one
_LONG = re.compile(r"\d+\.\d{4,}")
ROW, FRAME = 0.42, 1.1  # inches: of a row, of all around them


@dataclass(frozen=True, kw_only=True)
class Row:
    """One estimate: its label, interval, colour (of the palette) and mark (of matplotlib)."""

    label: str
    middle: float
    low: float
    high: float
    colour: str
    marker: str = "o"
    url: str | None = None
    kind: str | None = None  # what colour and mark stand for, in the legend


def height_of(rows: int) -> float:
    """Returns the inches that so many rows need."""
    return FRAME + ROW * max(3, rows)


def draw_intervals(ax: Axes, palette: Palette, rows: Sequence[Row]) -> None:
    """Draws the rows from top to bottom, with a line at 0."""
    ax.axvline(0, color=palette.muted, linewidth=1)
    told: set[str] = set()
    for place, row in enumerate(rows):
        label = row.kind if row.kind and row.kind not in told else None
        told.add(row.kind or "")
        half = [[max(0.0, row.middle - row.low)], [max(0.0, row.high - row.middle)]]
        ax.errorbar([row.middle], [place], xerr=half, color=row.colour, marker=row.marker,
                    markersize=6, linewidth=2, linestyle="none", label=label)  # fmt: skip
    ax.set_ylim(len(rows) - 0.4, -0.6)
    label_rows(ax, palette, [row.label for row in rows], [row.url for row in rows])


def label_rows(
    ax: Axes, palette: Palette, labels: Sequence[str], urls: Sequence[str | None]
) -> None:
    """Writes the labels at the left of rows 0, 1, 2, ..."""
    ax.set_yticks([])
    for place, (label, url) in enumerate(zip(labels, urls, strict=True)):
        _label(ax, palette, wrapped(label, ax, len(labels)), place, url)


def _label(ax: Axes, palette: Palette, lines: Sequence[str], place: int, url: str | None) -> None:
    """Writes a row's label line by line: matplotlib aligns them for its own font otherwise."""
    middle = (len(lines) - 1) / 2
    for number, line in enumerate(lines):
        drawn = ax.annotate(
            line, (0, place), xycoords=ax.get_yaxis_transform(), annotation_clip=False,
            xytext=(-6, (middle - number) * 72 * LINE), textcoords="offset points",
            ha="right", va="center", fontsize=SMALL, color=palette.ink,
        )  # fmt: skip
        if url is not None:
            drawn.set_url(url)


def wrapped(text: str, ax: Axes, rows: int) -> list[str]:
    """Returns a row's label, numbers rounded, on as many lines as leave all others their room."""
    short = _LONG.sub(lambda number: f"{float(number[0]):.3g}", plain(text, 400))
    width = max(12, int(room(ax) * LETTERS))
    figure = ax.get_figure(root=True)
    height = ax.get_position().height * float(figure.get_figheight()) if figure else ROW * rows
    lines = min(LINES, max(1, int(0.9 * height / rows / LINE)))
    return textwrap.wrap(short, width, max_lines=lines, placeholder=" …")
