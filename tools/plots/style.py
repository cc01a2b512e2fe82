"""How every plot looks: where it is drawn, its axes and its words; and a plot as SVG for a page.

There text stays text, and colours follow the page's light or dark theme.
"""

from __future__ import annotations

import io
import re
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vitruvius.tasks.task import Metric
from vitruvius.tools.plots.palette import LIGHT, Palette, palette_for
from vitruvius.tools.safe_text import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes


WIDTH, HEIGHT = 7.0, 3.8  # inches
TEXT, SMALL = 9.5, 8.0  # points
PAD, HANDLE = 7.0, 1.8  # points above the axes; letters of a line in the legend
ALONE = 0.775  # share of a figure that its only axes have before they are laid out
LETTERS = 118.0  # of one point in an inch, on average

_LOCK = threading.Lock()
_PARAMS = {"svg.fonttype": "none", "svg.hashsalt": "vitruvius"}
_DROPPED = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_OPEN = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_FONT = re.compile(r" font-family: [^;]*;|font-family: [^;\"]*(?=\")")
_ID = re.compile(r' id="([^"]*)"')
_LINK = re.compile(r'<a href="#([^"]*)"[^>]*>')
_USE = re.compile(r'url\(#([^)]*)\)|<use href="#([^"]*)"')


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


def to_svg(
    plot: Callable[[Axes], Axes], *, width: float = WIDTH, height: float = HEIGHT, name: str = ""
) -> str:
    """Returns what `plot` draws as an `<svg>` element, the same text for the same facts.

    Its colours are the variables of `Palette`, with those of `LIGHT` where the page sets none; its
    font is the page's, the paper is left out. Trials link to `#T17`, principles to `#P7`.

    Args:
        plot: draws into the axes that it is given, in the colours of `LIGHT`.
        width: in inches; the element scales to the width of what holds it.
        height: in inches.
        name: set before every id, so that several pictures fit into one page.

    Example:
        >>> to_svg(lambda ax: ax)[:24]
        '<svg viewBox="0 0 504 27'
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    plot(figure.add_subplot())
    figure.patch.set_visible(False)
    written = io.StringIO()
    with _params():
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _themed(written.getvalue(), name)


@contextmanager
def _params() -> Iterator[None]:
    """Sets two parameters of matplotlib and gives them back; it has no other way to be told."""
    import matplotlib

    params: Any = matplotlib.rcParams
    with _LOCK:
        before = {key: params[key] for key in _PARAMS}
        params.update(_PARAMS)
        try:
            yield
        finally:
            params.update(before)


def _themed(svg: str, name: str) -> str:
    svg = _DROPPED.sub("", svg).replace("xlink:href", "href")
    svg = _OPEN.sub(r'<svg viewBox="\1" width="100%" stroke-linejoin="round" role="img">', svg, 1)
    svg = _FONT.sub("", svg)
    svg = _LINK.sub(r'<a href="#\1"><title>\1</title>', svg)
    for variable, colour in asdict(LIGHT).items():
        svg = svg.replace(colour, f"var(--{variable}, {colour})")
    used = {found for pair in _USE.findall(svg) for found in pair if found}
    svg = _ID.sub(lambda m: f' id="{name}{m[1]}"' if m[1] in used else "", svg)
    return _USE.sub(lambda m: m[0].replace("#", f"#{name}"), svg).strip()
