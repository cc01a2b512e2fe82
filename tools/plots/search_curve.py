"""The search curve: the best so far, beside random search and the random arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.records import Trial
from vitruvius.tools.plots.style import (
    SMALL,
    dress,
    explain,
    measured,
    open_axes,
    plain,
    say,
    window,
)
from vitruvius.tools.report.statistics import AGENT, points_of
from vitruvius.tools.report.words import value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import Estimate, Point, Report

STEPS = 150  # of the random band: more cannot be seen


def plot_search_curve(
    report: Report, ax: Axes | None = None, *, palette: Palette | None = None
) -> Axes:
    """Draws the best value after each trial beside what as many uniform draws would have brought.

    The band is the median best of as many draws and its 95 % interval, by the run's own uniform
    trials; where so few leave it open above, the band is. Dots are trials; those far below are
    marks at the edge. A diamond at the right is what fresh seeds say of the best network.
    """
    ax, palette = open_axes(ax, palette)
    trials = [t for t in report.trials if t.origin in AGENT and not t.status.is_open]
    points = points_of(report.trials, report.metric, range(1, len(trials) + 1))
    held = [(point.n, point.agent) for point in points if point.agent is not None]
    if not held:
        return say(ax, palette, "No trial has a score yet.")
    dress(ax, palette, title=f"Best {measured(report.metric)}", x="trials of the search")
    ax.set_xlim(0.5, 0.5 + 1.03 * len(points))
    ax.set_ylim(*_limits(report, trials, points))
    told: dict[str, Any] = {}
    steps = [(n, agent[0]) for n, agent in held]
    (told["this search"],) = ax.step(
        *zip(*steps, strict=True), where="post", color=palette.blue, linewidth=2.2, zorder=3
    )
    random = _draw_random(ax, palette, [points[n - 1] for n in _some(len(points))])
    if random is not None:
        told["random search: median, 95 % interval"] = random
    control = [(point.n, point.control[0]) for point in points if point.control is not None]
    if control:
        (told["random arm of this run"],) = ax.step(
            *zip(*control, strict=True), where="post", color=palette.red, linewidth=1.6,
            linestyle=(0, (4, 1.5)), marker="s", markersize=4, markevery=[-1],
        )  # fmt: skip
    _draw_dots(ax, palette, trials)
    _mark_found(ax, palette, report, held)
    best = report.best.finalist.confirmed if report.best else None
    if best is not None:
        told["the best on fresh seeds"] = _draw_confirmed(ax, palette, best, len(points))
    explain(ax, palette, told)
    return ax


def _some(length: int) -> list[int]:
    """Returns numbers from 1 to `length`, dense at first: the curve bends there."""
    if length <= STEPS:
        return list(range(1, length + 1))
    return sorted({round(n) for n in np.geomspace(1, length, STEPS)})


def _limits(
    report: Report, trials: Sequence[Trial], points: Sequence[Point]
) -> tuple[float, float]:
    shown: list[float] = []
    for point in points[min(3, len(points) - 1) :]:  # the first few may be broken networks
        shown += [held[0] for held in (point.agent, point.control) if held is not None]
        if point.random is not None and point.random.median is not None:
            shown.append(point.random.median)
    best = report.best.finalist.confirmed if report.best else None
    if best is not None:
        shown += [end for end in (best.mean, best.low, best.high) if end is not None]
    return window([t.value for t in trials if t.value is not None], shown, report.metric.sign)


def _draw_random(ax: Axes, palette: Palette, points: Sequence[Point]) -> Any:
    """Draws the band of random search, paler where it has no upper end, and returns its sign."""
    bands = [(p.n, p.random) for p in points if p.random is not None]
    if not bands:
        return None
    floor, ceiling = ax.get_ylim()
    x = np.array([n for n, _ in bands])
    low = np.array([floor if band.low is None else band.low for _, band in bands])
    high = np.array([ceiling if band.high is None else band.high for _, band in bands])
    is_open = np.array([band.low is None or band.high is None for _, band in bands])
    whole = ax.fill_between(x, low, high, where=~is_open, color=palette.grey, alpha=0.22, lw=0)
    ax.fill_between(x, low, high, where=_widened(is_open), color=palette.grey, alpha=0.1, lw=0)
    median = [np.nan if band.median is None else band.median for _, band in bands]
    (line,) = ax.plot(x, median, color=palette.grey, linewidth=1.6, linestyle=(0, (1.2, 1.2)))
    return whole, line


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the mask with the neighbours of what it holds: two areas then meet."""
    wide = mask.copy()
    wide[:-1] |= mask[1:]
    wide[1:] |= mask[:-1]
    return wide


def _draw_dots(ax: Axes, palette: Palette, trials: Sequence[Trial]) -> None:
    floor, ceiling = ax.get_ylim()
    scored = [(n, t.value, t.name) for n, t in enumerate(trials, start=1) if t.value is not None]
    inside = [dot for dot in scored if floor <= dot[1] <= ceiling]
    below = [(n, floor, name) for n, value, name in scored if value < floor]
    above = [(n, ceiling, name) for n, value, name in scored if value > ceiling]
    for dots, marker, size in ((inside, "o", 10), (below, "v", 12), (above, "^", 12)):
        if dots:
            x, y, names = zip(*dots, strict=True)
            drawn = ax.scatter(x, y, s=size, marker=marker, color=palette.blue, alpha=0.5,
                               linewidths=0, clip_on=False)  # fmt: skip
            drawn.set_urls([f"#{name}" for name in names])


def _mark_found(
    ax: Axes, palette: Palette, report: Report, held: Sequence[tuple[int, tuple[float, int]]]
) -> None:
    """Marks the trial that the curve ends on."""
    length, (value, number) = held[-1]
    first = next(n for n, agent in held if agent[1] == number)
    is_right, is_up = first > 0.7 * length, report.metric.sign > 0
    ax.scatter([first], [value], s=34, color=palette.blue, edgecolors=palette.paper, zorder=4)
    note = ax.annotate(
        plain(f"T{number}: {value_text(value, report.metric)}"), (first, value),
        xytext=(-4 if is_right else 4, 6 if is_up else -6), textcoords="offset points",
        ha="right" if is_right else "left", va="bottom" if is_up else "top",
        fontsize=SMALL, color=palette.ink,
    )  # fmt: skip
    note.set_url(f"#T{number}")


def _draw_confirmed(ax: Axes, palette: Palette, best: Estimate, place: int) -> Any:
    half = None
    if best.low is not None and best.high is not None:
        half = [[best.mean - best.low], [best.high - best.mean]]
    return ax.errorbar(
        [place], [best.mean], yerr=half, marker="D", markersize=5, capsize=3, zorder=5,
        color=palette.purple, linestyle="none", clip_on=False,
    )  # fmt: skip
