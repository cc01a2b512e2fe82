"""What size buys: each architecture's value beside its parameters, and those that none beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitruvius.memory.records import Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric
from vitruvius.tools.plots.style import (
    SMALL,
    dress,
    explain,
    measured,
    open_axes,
    room,
    say,
    window,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import Report


WIDE = 15  # from this ratio of sizes on, the axis is logarithmic
APART = 0.55  # inches between two names


@dataclass(frozen=True, kw_only=True)
class Sized:
    """An architecture: mean value over its trials, parameters, and whether it is on the front."""

    value: float
    params: int
    trials: tuple[int, ...]
    is_on_front: bool


def front_of(trials: Sequence[Trial], metric: Metric) -> list[Sized]:
    """Returns the architectures whose value and parameters are known, the smallest first.

    On the front is one that none of the same size or smaller equals or beats.
    """
    groups: dict[Architecture, list[Trial]] = {}
    for trial in trials:
        if trial.value is not None and trial.params is not None:
            groups.setdefault(trial.architecture, []).append(trial)
    found = [
        (
            mine[0].params or 0,
            sum(t.value or 0.0 for t in mine) / len(mine),
            tuple(t.number for t in mine),
        )
        for mine in groups.values()
    ]
    best, sized = float("-inf"), []
    for params, value, numbers in sorted(found, key=lambda f: (f[0], -metric.sign * f[1], f[2])):
        is_better = metric.sign * value > best
        best = max(best, metric.sign * value)
        sized.append(Sized(value=value, params=params, trials=numbers, is_on_front=is_better))
    return sized


def plot_pareto(report: Report, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
    """Draws each architecture's mean value against its parameters, and the front.

    On the front is what nothing of the same size or smaller beats; it bears the name of its first
    trial. The diamond is the run's answer.
    """
    ax, palette = open_axes(ax, palette)
    sized, sign = front_of(report.trials, report.metric), report.metric.sign
    if not sized:
        return say(ax, palette, "No trial with a score tells its parameters.")
    front = [one for one in sized if one.is_on_front]
    floor, ceiling = window([one.value for one in sized], [front[-1].value], sign)
    shown = [one for one in sized if floor <= one.value <= ceiling]
    worse = f"; {len(sized) - len(shown)} worse ones lie outside" if len(shown) < len(sized) else ""
    title = f"{measured(report.metric)} by size"
    dress(ax, palette, title=title[0].upper() + title[1:], x=f"parameters{worse}")
    ax.set_ylim(floor, ceiling)
    _scale(ax, [one.params for one in shown])
    rest = [one for one in shown if not one.is_on_front]
    seen = [one for one in shown if one.is_on_front]
    for ones, size, alpha, label in (
        (rest, 12, 0.45, "architecture"),
        (seen, 26, 1.0, "on the front: none as small is better"),
    ):
        if ones:
            drawn = ax.scatter([s.params for s in ones], [s.value for s in ones], s=size,
                               color=palette.blue, alpha=alpha, linewidths=0, label=label,
                               zorder=3)  # fmt: skip
            drawn.set_urls([f"#T{one.trials[0]}" for one in ones])
    edge = sized[-1].params
    ax.step([*(s.params for s in front), edge], [*(s.value for s in front), front[-1].value],
            where="post", color=palette.blue, linewidth=1.4, alpha=0.7)  # fmt: skip
    _mark_answer(ax, palette, report, shown)
    _name(ax, palette, seen, sign)
    explain(ax, palette)
    return ax


def _scale(ax: Axes, sizes: Sequence[int]) -> None:
    low, high = min(sizes), max(sizes)
    if high > WIDE * max(1, low):
        ax.set_xscale("log")
        ax.set_xlim(low / 1.3, high * 1.3)
    else:
        margin = 0.06 * (high - low) or 0.05 * high or 1.0
        ax.set_xlim(max(0.0, low - margin), high + margin)
    ax.xaxis.set_major_formatter(_short)
    ax.xaxis.set_minor_formatter("")


def _short(value: float, place: float) -> str:
    """Returns a count in few letters: `1.2M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _mark_answer(ax: Axes, palette: Palette, report: Report, shown: Sequence[Sized]) -> None:
    if report.best is None:
        return
    number = report.best.finalist.found.number
    for one in shown:
        if number in one.trials:
            ax.scatter([one.params], [one.value], marker="D", s=46, color=palette.purple,
                       edgecolors=palette.paper, zorder=4, label="the run's answer")  # fmt: skip


def _name(ax: Axes, palette: Palette, front: Sequence[Sized], sign: float) -> None:
    """Names what is on the front, the best first, as far as the names do not run together."""
    taken: list[tuple[float, float]] = []
    figure = ax.get_figure(root=True)
    height = ax.get_position().height * (figure.get_figheight() if figure is not None else 1.0)
    across = room(ax) * 0.9
    for one in reversed(front):
        x, y = ax.transAxes.inverted().transform(ax.transData.transform((one.params, one.value)))
        place = (x * across, y * height)
        if all(abs(place[0] - a) > APART or abs(place[1] - b) > 0.2 for a, b in taken):
            taken.append(place)
            note = ax.annotate(
                f"T{one.trials[0]}", (one.params, one.value), xytext=(-3, 5 * sign),
                textcoords="offset points", ha="right", va="bottom" if sign > 0 else "top",
                fontsize=SMALL, color=palette.ink,
            )  # fmt: skip
            note.set_url(f"#T{one.trials[0]}")
