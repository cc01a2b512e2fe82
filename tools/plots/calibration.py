"""What the proxies were worth, held against the parameter count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.memory.evidence.calibration import COUNTED, Verdict, verdict
from vitruvius.memory.records import Calibration
from vitruvius.tools.plots.intervals import Row, draw_intervals, height_of
from vitruvius.tools.plots.style import dress, explain, open_axes, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import Report

BASELINE = "params"
MARKS = {Verdict.PREDICTS: "o", Verdict.OPEN: "s", Verdict.DEMOTED: "X", Verdict.COUNTED: "D"}


def plot_calibration(
    report: Report, ax: Axes | None = None, *, palette: Palette | None = None
) -> Axes:
    """Draws each proxy's rank correlation with the trained results, and what counting leaves of it.

    The full mark is the correlation, the hollow one below it that given parameters and depth: a
    proxy whose lower interval holds 0 says no more than counting. The shade is the interval of the
    parameter count's own.
    """
    ax, palette = open_axes(ax, palette, calibration_height(report))
    order = sorted(report.calibrations, key=lambda c: (c.proxy in COUNTED, -abs(c.spearman)))
    if not order:
        return say(ax, palette, "No proxy has been computed for enough trained architectures.")
    dress(
        ax,
        palette,
        title="Proxies held against the parameter count",
        x="rank correlation with the results, 95 % interval" + _given(report),
        grid="x",
        share=0.75,
    )
    counted = next((one for one in order if one.proxy == BASELINE), None)
    if counted is not None:
        ax.axvspan(counted.low, counted.high, color=palette.grey, alpha=0.15, linewidth=0)
        ax.axvline(counted.spearman, color=palette.grey, linewidth=1.4, linestyle=(0, (4, 2)),
                   label="parameter count")  # fmt: skip
    draw_intervals(ax, palette, [_row(one, palette) for one in order])
    for place, one in enumerate(order):
        if one.partial is None or one.partial_low is None or one.partial_high is None:
            continue
        ends = [[one.partial - one.partial_low], [one.partial_high - one.partial]]
        ax.errorbar([one.partial], [place + 0.26], xerr=ends, color=_row(one, palette).colour,
                    marker=MARKS[verdict(one)], markersize=4, alpha=0.6, linewidth=1.2,
                    markerfacecolor=palette.paper, linestyle="none")  # fmt: skip
    ax.set_xlim(-1, 1)
    explain(ax, palette, share=0.75)
    return ax


def calibration_height(report: Report) -> float:
    """Returns the inches that the picture needs from top to bottom."""
    return height_of(len(report.calibrations))


def _given(report: Report) -> str:
    names = sorted({name for one in report.calibrations for name in one.given})
    return f"; hollow: given {' and '.join(names)}" if names else ""


def _row(one: Calibration, palette: Palette) -> Row:
    found = verdict(one)
    return Row(
        label=f"{one.proxy} ({one.n} trials)",
        middle=one.spearman,
        low=one.low,
        high=one.high,
        colour={
            Verdict.PREDICTS: palette.green,
            Verdict.OPEN: palette.amber,
            Verdict.DEMOTED: palette.red,
            Verdict.COUNTED: palette.grey,
        }[found],
        marker=MARKS[found],
        kind=found.value,
    )
