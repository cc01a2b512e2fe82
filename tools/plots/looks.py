"""How the effect of one principle was measured, look after look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.tools.plots.effects import MARKS, colour_of
from vitruvius.tools.plots.style import dress, open_axes, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import PrincipleReport


def plot_looks(
    principle: PrincipleReport, ax: Axes | None = None, *, palette: Palette | None = None
) -> Axes:
    """Draws each measurement of a principle in its run, with its interval, over the trials."""
    ax, palette = open_axes(ax, palette)
    if not principle.looks:
        return say(ax, palette, "It has not been measured in this run.")
    dress(ax, palette, title="Effect, look after look", x="trials")
    ax.axhline(0, color=palette.muted, linewidth=1)
    ax.plot([look.up_to for look in principle.looks], [look.effect for look in principle.looks],
            color=palette.grid, linewidth=1.5)  # fmt: skip
    for look in principle.looks:
        ends = [[max(0.0, look.effect - look.low)], [max(0.0, look.high - look.effect)]]
        ax.errorbar([look.up_to], [look.effect], yerr=ends, color=colour_of(look.standing, palette),
                    marker=MARKS[look.standing], markersize=5, linewidth=1.5,
                    linestyle="none")  # fmt: skip
    return ax
