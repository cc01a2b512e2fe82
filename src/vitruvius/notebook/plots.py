"""The plots of a run under one name: `run.plot.search_curve()`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.run.facts import RunFacts
    from vitruvius.tools.plots import Palette


@dataclass(frozen=True)
class Plots:
    """Each draws the run as its ledger stands, into given axes or new ones, and returns them."""

    run: RunFacts

    def search_curve(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The best so far, beside random search and the random arm."""
        from vitruvius.tools.plots import plot_search_curve

        return plot_search_curve(self.run.facts(), ax, palette=palette)

    def effects(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The effect of each principle with its interval."""
        from vitruvius.tools.plots import plot_effects

        return plot_effects(self.run.facts(), ax, palette=palette)

    def calibration(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The proxies held against the parameter count."""
        from vitruvius.tools.plots import plot_calibration

        return plot_calibration(self.run.facts(), ax, palette=palette)

    def pareto(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The metric against the parameters, and the front."""
        from vitruvius.tools.plots import plot_pareto

        return plot_pareto(self.run.facts(), ax, palette=palette)

    def lineage(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """What became of each principle over the trials."""
        from vitruvius.tools.plots import plot_lineage

        return plot_lineage(self.run.facts(), ax, palette=palette)
