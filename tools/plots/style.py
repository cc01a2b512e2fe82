"""How every plot looks: where it is drawn, its axes and its words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vitruvius.tasks.task import Metric
from vitruvius.tools.plots.palette import Palette, palette_for
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 7.0, 3.8  # inches
TEXT, SMALL = 9.5, 8.0  # points
PAD, HANDLE = 7.0, 1.8  # points above the axes; letters of a line in the legend
ALONE = 0.775  # share of a figure that its only axes have before they are laid out
LETTERS = 118.0  # of one point in an inch, on average


def open_axes(
    ax: Axes | None, palette: Palette | None, height: float = HEIGHT
) -> tuple[Axes, Palette]:
    """Returns axes to draw in and the colours for them.

    New axes come from pyplot, so a notebook shows them; their paper is that of the palette. On
    axes that are given, the palette goes by the paper that is there.
    """
    from matplotlib import rcParams
    from matplotlib.colors import to_hex, to_rgba

    if ax is not None:
        figure = ax.get_figure(root=True)
        colour = figure.get_facecolor() if figure is not None else "white"
        shown = to_hex(colour) if to_rgba(colour)[3] > 0.5 else "#ffffff"
        return ax, palette or palette_for(shown)
    from matplotlib import pyplot

    palette = palette or palette_for(to_hex(rcParams["figure.facecolor"]))
    figure, ax = pyplot.subplots(
        figsize=(WIDTH, height), layout="constrained", facecolor=palette.paper
    )
    return ax, palette


def dress(
    ax: Axes, palette: Palette, *, title: str, x: str, grid: str = "y", share: float = 1.0
) -> None:
    """Gives axes their title, the name of x, quiet spines and a grid along one axis.

    `share` is that of the width which labels at the side leave to the picture.
    """
    ax.set_facecolor("none")
    ax.set_title(
        broken(ax, title, TEXT / share), loc="left", fontsize=TEXT, color=palette.ink, pad=PAD
    )
    ax.set_xlabel(broken(ax, x, SMALL / share), fontsize=SMALL, color=palette.muted, loc="left")
    ax.tick_params(labelsize=SMALL, colors=palette.muted, labelcolor=palette.muted, length=3)
    ax.grid(visible=False)
    ax.grid(visible=True, axis="x" if grid == "x" else "y", color=palette.grid, linewidth=0.8)
    ax.set_axisbelow(True)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(palette.grid)


def room(ax: Axes) -> float:
    """Returns the inches that the axes and their labels may take across."""
    figure = ax.get_figure(root=True)
    width = WIDTH if figure is None else float(figure.get_figwidth())
    return width * min(1.0, ax.get_position().width / ALONE)


def broken(ax: Axes, text: str, points: float) -> str:
    """Returns the text in as many lines as the axes' width asks for."""
    characters = max(16, int(room(ax) * LETTERS / points))
    return "\n".join(textwrap.wrap(plain(text, 400), characters))


def explain(
    ax: Axes,
    palette: Palette,
    handles: Mapping[str, Any] | None = None,
    *,
    share: float = 1.0,
) -> None:
    """Puts the legend between title and picture, where it covers nothing.

    Args:
        ax: dressed before.
        palette: of the words.
        handles: what to show beside which words; None: all that was drawn with a label.
        share: as given to `dress`.
    """
    drawn, words = ax.get_legend_handles_labels()
    told = dict(zip(words, drawn, strict=True)) if handles is None else handles
    if not told:
        return
    columns = _columns(list(told), int(share * room(ax) * LETTERS / SMALL))
    ax.legend(
        list(told.values()), list(told), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns,
        frameon=False, fontsize=SMALL, labelcolor=palette.ink, borderaxespad=0.2, borderpad=0.2,
        handlelength=HANDLE, columnspacing=1.4,
    )  # fmt: skip
    title = ax.get_title(loc="left")
    rows = -(-len(told) // columns)
    ax.set_title(title, loc="left", fontsize=TEXT, color=palette.ink, pad=PAD + 14 * rows)


def _columns(words: Sequence[str], characters: int) -> int:
    """Returns the most columns whose longest words fit beside each other."""
    for columns in range(len(words), 1, -1):
        widest = [max(map(len, words[i::columns])) for i in range(columns)]
        if sum(widest) + 7 * columns <= characters:
            return columns
    return 1


def say(ax: Axes, palette: Palette, words: str) -> Axes:
    """Writes one sentence where there is nothing to draw."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, plain(words), ha="center", va="center", fontsize=TEXT, color=palette.muted,
            transform=ax.transAxes)  # fmt: skip
    return ax


def plain(text: str, limit: int = 200) -> str:
    r"""Returns others' text on one line; matplotlib would read what stands between dollars as TeX.

    Example:
        >>> print(plain("cost $a_1$"))
        cost \$a_1\$
    """
    return clean(text, limit).replace("\\", "/").replace("$", r"\$")


def measured(metric: Metric) -> str:
    """Returns what an axis shows: `accuracy (%)`."""
    return f"{metric.name} ({metric.unit})" if metric.unit else metric.name


def window(seen: Iterable[float], shown: Iterable[float], sign: float) -> tuple[float, float]:
    """Returns the limits of a value axis: all that must be shown, and the better half of the rest.

    A broken network scores like a coin: with it in the picture, the good ones fall into one line.

    Args:
        seen: values of trials, of which the worse half may lie outside.
        shown: values that must be seen.
        sign: 1 where more is better, -1 where less is.
    """
    ordered = sorted(seen, key=lambda value: -sign * value)
    ends = [*ordered[: (len(ordered) + 1) // 2], *shown]
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    worse, better = margin, 2 * margin  # the best has its name beside it
    return (low - worse, high + better) if sign > 0 else (low - better, high + worse)
