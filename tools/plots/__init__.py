"""Plots of a run, from the facts of its report; each returns matplotlib axes."""

from vitruvius.tools.plots.curve import plot_search_curve
from vitruvius.tools.plots.effects import plot_effects
from vitruvius.tools.plots.palette import DARK, LIGHT, Palette
from vitruvius.tools.plots.svg import to_svg

__all__ = ["DARK", "LIGHT", "Palette", "plot_effects", "plot_search_curve", "to_svg"]
