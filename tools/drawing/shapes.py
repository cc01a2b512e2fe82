"""Boxes and words of a picture, as SVG that follows the colours of the page around it."""

from __future__ import annotations

from html import escape

FONT = 12.0
LETTER = 6.7  # mean width of a letter; boxes are a little wider than their words
LINE = 15.0
MARGIN = 6.0
_ALONE = {
    "ink": "currentColor", "paper": "none", "grid": "#9aa2ab", "muted": "#7d8590",
    "blue": "#0072b2", "purple": "#a3387a", "green": "#00805e", "amber": "#a87500",
    "grey": "#7d8590",
}  # fmt: skip


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
