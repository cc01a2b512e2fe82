"""The effects of principles with their intervals, and how one was measured, look after look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.memory.records import Standing
from vitruvius.spaces.rules import words
from vitruvius.tools.plots.intervals import Row, draw_intervals, height_of
from vitruvius.tools.plots.style import dress, explain, open_axes, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import PrincipleReport, Report


MOST = 16
MARKS = {
    Standing.SUPPORTED: "o",
    Standing.WEAKENED: "v",
    Standing.CONTRADICTED: "X",
    Standing.CANDIDATE: "s",
    Standing.RETIRED: "x",
}


def colour_of(standing: Standing, palette: Palette) -> str:
    """Returns the colour that a standing has in every picture."""
    return {
        Standing.SUPPORTED: palette.green,
        Standing.WEAKENED: palette.amber,
        Standing.CONTRADICTED: palette.red,
        Standing.CANDIDATE: palette.grey,
        Standing.RETIRED: palette.muted,
    }[standing]


def plot_effects(report: Report, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
    """Draws the last measured effect of each principle with its interval, in the report's order.

    In standard deviations of the architectures' ranks, other features adjusted for; right of 0
    the rule is good. Of many principles, the first 16 are drawn.
    """
    shown = [(p, p.evidence) for p in report.principles if p.evidence is not None]
    ax, palette = open_axes(ax, palette, effects_height(report))
    if not shown:
        return say(ax, palette, "No principle has been measured yet.")
    rows = [
        Row(
            label=f"P{evidence.principle}.{evidence.version}  {words(principle.version.rule)}",
            middle=evidence.effect,
            low=evidence.low,
            high=evidence.high,
            colour=colour_of(principle.standing, palette),
            marker=MARKS[principle.standing],
            url=f"#P{evidence.principle}",
            kind=principle.standing.value,
        )
        for principle, evidence in shown[:MOST]
    ]
    left_out = f" (the first {MOST} of {len(shown)})" if len(shown) > MOST else ""
    dress(
        ax,
        palette,
        title=f"Effect of each principle, 95 % interval{left_out}",
        x="standard deviations of rank; right of 0 is good",
        grid="x",
        share=0.6,
    )
    draw_intervals(ax, palette, rows)
    explain(ax, palette, share=0.6)
    return ax


def effects_height(report: Report) -> float:
    """Returns the inches that the picture needs from top to bottom."""
    return height_of(min(MOST, sum(p.evidence is not None for p in report.principles)))


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
