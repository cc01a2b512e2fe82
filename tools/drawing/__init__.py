"""Architectures as pictures: `draw_svg(space, architecture)` returns one SVG element."""

from vitruvius.tools.drawing.svg import draw_svg

__all__ = ["draw_svg"]
