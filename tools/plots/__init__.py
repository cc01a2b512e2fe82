"""Plots of a run, from the facts of its report; each returns matplotlib axes."""

from vitruvius.tools.plots.calibration import plot_calibration
from vitruvius.tools.plots.effects import plot_effects
from vitruvius.tools.plots.lineage import plot_lineage
from vitruvius.tools.plots.palette import DARK, LIGHT, Palette
from vitruvius.tools.plots.pareto import plot_pareto
from vitruvius.tools.plots.search_curve import plot_search_curve
from vitruvius.tools.plots.style import to_svg

__all__ = [
    "DARK",
    "LIGHT",
    "Palette",
    "plot_calibration",
    "plot_effects",
    "plot_lineage",
    "plot_pareto",
    "plot_search_curve",
    "to_svg",
]
