"""What became of the principles: written when, made into what, and how long they held up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vitruvius.memory.records import PrincipleVersion, Standing
from vitruvius.spaces.rules import words
from vitruvius.tools.plots.effects import MARKS, colour_of
from vitruvius.tools.plots.intervals import height_of, label_rows
from vitruvius.tools.plots.style import SMALL, dress, explain, open_axes, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.tools.plots.palette import Palette
    from vitruvius.tools.report.facts import PrincipleReport, Report

MOST = 20
LATER = (Standing.SUPPORTED, Standing.WEAKENED, Standing.CONTRADICTED, Standing.CANDIDATE)


def plot_lineage(report: Report, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
    """Draws each principle as a line over the run's trials, in the colour of its standing.

    A mark with a name is a version; a thin line comes from the principle that it was made from. The
    mark at the right is where it stands now, a cross where it was given up. Those that start at 0
    come from earlier runs.
    """
    shown = sorted(report.principles[:MOST], key=lambda p: (p.written[:1], p.version.principle))
    ax, palette = open_axes(ax, palette, height_of(len(shown)))
    if not shown:
        return say(ax, palette, "No principle has been written or recalled yet.")
    more = (
        f" (the first {MOST} of {len(report.principles)})" if len(report.principles) > MOST else ""
    )
    dress(ax, palette, title=f"Lineage of the principles{more}", x="trials", grid="x", share=0.6)
    end = max([t.number for t in report.trials], default=1)
    rows = {p.version.principle: place for place, p in enumerate(shown)}
    told: dict[str, Any] = {}
    for principle in shown:
        place = rows[principle.version.principle]
        for start, stop, standing in _spells(principle, end):
            (line,) = ax.plot([start, stop], [place, place], color=colour_of(standing, palette),
                              linewidth=4 if standing == Standing.SUPPORTED else 2,
                              solid_capstyle="butt")  # fmt: skip
            told.setdefault(standing.value, line)
        if principle.standing != Standing.RETIRED:
            ax.plot([end], [place], marker=MARKS[principle.standing], markersize=6, zorder=5,
                    color=colour_of(principle.standing, palette), clip_on=False)  # fmt: skip
        for at, version in dict(zip(principle.written, principle.lineage, strict=True)).items():
            _draw_version(ax, palette, at, version, place)
            for parent in _parents(version):
                if parent in rows and rows[parent] != place:
                    ax.plot([at, at], [rows[parent], place], color=palette.muted, linewidth=1)
    ax.set_xlim(-0.02 * end, end)
    ax.set_ylim(len(shown) - 0.4, -0.7)
    labels = [f"P{p.version.principle}  {words(p.version.rule)}" for p in shown]
    label_rows(ax, palette, labels, [f"#P{number}" for number in rows])
    order = [standing.value for standing in (*LATER, Standing.RETIRED)]
    explain(ax, palette, {name: told[name] for name in order if name in told}, share=0.6)
    return ax


def _spells(principle: PrincipleReport, end: int) -> Iterator[tuple[int, int, Standing]]:
    """Yields how long the principle had which standing, in trials."""
    start, standing = principle.written[0], Standing.CANDIDATE
    last = principle.written[-1] if principle.standing == Standing.RETIRED else end
    for look in principle.looks:
        if look.standing != standing:
            yield start, look.up_to, standing
            start, standing = look.up_to, look.standing
    yield start, last, standing


def _draw_version(
    ax: Axes, palette: Palette, at: int, version: PrincipleVersion, place: int
) -> None:
    is_end = version.edit == "retire"
    ax.plot([at], [place], marker=MARKS[Standing.RETIRED] if is_end else "o", markersize=6,
            color=palette.ink, markerfacecolor=palette.paper, zorder=4, clip_on=False)  # fmt: skip
    said = "" if version.edit == "add" else f" {version.edit}"
    if at == 0:
        said = " from earlier runs"
    ax.annotate(f".{version.version}{said}", (at, place), xytext=(2, 5), fontsize=SMALL - 0.5,
                textcoords="offset points", color=palette.muted, clip_on=False)  # fmt: skip


def _parents(version: PrincipleVersion) -> Sequence[int]:
    return [int(name[1:].split(".")[0]) for name in version.parents]
