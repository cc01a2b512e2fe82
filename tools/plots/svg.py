"""A plot as SVG for a page: text stays text, and colours follow the page's light or dark theme."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vitruvius.tools.plots.palette import LIGHT
from vitruvius.tools.plots.style import HEIGHT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOCK = threading.Lock()
_PARAMS = {"svg.fonttype": "none", "svg.hashsalt": "vitruvius"}
_DROPPED = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_OPEN = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
_FONT = re.compile(r" font-family: [^;]*;|font-family: [^;\"]*(?=\")")
_ID = re.compile(r' id="([^"]*)"')
_LINK = re.compile(r'<a href="#([^"]*)"[^>]*>')
_USE = re.compile(r'url\(#([^)]*)\)|<use href="#([^"]*)"')


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
