"""The search curve shows the values of the ledger, each where it belongs."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from vitruvius.memory.records import Origin
from vitruvius.tools.plots import DARK, LIGHT, plot_search_curve
from vitruvius.tools.report import Report


def lines(ax: Axes, colour: str) -> list[np.ndarray]:
    found = [line for line in ax.get_lines() if to_hex(line.get_color()) == colour]
    return [np.asarray(line.get_xydata()) for line in found]


def test_it_draws_the_best_so_far_of_the_search(read_report: Report, ax: Axes) -> None:
    searched = [t for t in read_report.trials if t.origin not in (Origin.CONTROL, Origin.CONFIRM)]
    values = [-np.inf if t.value is None else t.value for t in searched]
    (line,) = lines(plot_search_curve(read_report, ax), LIGHT.blue)
    np.testing.assert_allclose(line[:, 0], np.arange(1, len(values) + 1))
    np.testing.assert_allclose(line[:, 1], np.maximum.accumulate(values))


def test_it_draws_the_random_arm_and_the_band(read_report: Report, ax: Axes) -> None:
    arm = [t.value for t in read_report.trials if t.origin == Origin.CONTROL]
    plot_search_curve(read_report, ax)
    (line,) = lines(ax, LIGHT.red)
    assert list(line[:, 1]) == list(np.maximum.accumulate(np.array(arm, dtype=float)))
    (median,) = lines(ax, LIGHT.grey)
    drawn = {n: y for n, y in median if np.isfinite(y)}
    for point in read_report.curve.points:
        assert point.random is not None
        assert drawn.get(point.n) == point.random.median


def test_the_best_bears_its_trial_and_what_fresh_seeds_say(read_report: Report, ax: Axes) -> None:
    plot_search_curve(read_report, ax)
    best = read_report.best
    assert best is not None
    assert best.finalist.confirmed is not None
    top = read_report.curve.points[-1].agent
    assert top is not None
    assert any(text.get_text().startswith(f"T{top[1]}: ") for text in ax.texts)
    (diamond,) = [line for line in ax.get_lines() if line.get_marker() == "D"]
    assert diamond.get_ydata() == [best.finalist.confirmed.mean]


def test_where_less_is_better_the_curve_falls(read_report: Report, ax: Axes) -> None:
    down = replace(read_report.metric, direction="min")
    plot_search_curve(replace(read_report, metric=down, best=None), ax)
    (line,) = lines(ax, LIGHT.blue)
    assert (np.diff(line[:, 1]) <= 0).all()
    assert line[-1, 1] < line[0, 1]


def test_broken_networks_do_not_press_the_good_ones_flat(read_report: Report, ax: Axes) -> None:
    broken = [replace(t, value=1.0) if t.number == 6 else t for t in read_report.trials]
    plot_search_curve(replace(read_report, trials=broken), ax)
    assert ax.get_ylim()[0] > 40
    edge = [c for c in ax.collections if (c.get_offsets() == ax.get_ylim()[0]).any()]
    assert len(edge) == 1  # the mark that something lies below


def test_a_run_without_scores_says_so(read_report: Report, ax: Axes) -> None:
    plot_search_curve(replace(read_report, trials=[], best=None), ax)
    assert [text.get_text() for text in ax.texts] == ["No trial has a score yet."]


def test_text_of_others_is_no_formula(read_report: Report, ax: Axes) -> None:
    odd = replace(read_report.metric, name="$\\frac{1}{0$ <b>", unit="\x1b[31m$")
    plot_search_curve(replace(read_report, metric=odd), ax)
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert "\x1b" not in ax.get_title(loc="left")


@pytest.mark.parametrize("palette", [None, LIGHT, DARK])
def test_new_axes_have_the_paper_of_their_palette(
    read_report: Report, palette: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib import pyplot

    matplotlib.use("Agg")
    if palette is None:
        monkeypatch.setitem(matplotlib.rcParams, "figure.facecolor", "black")
    ax = plot_search_curve(read_report, palette=palette)  # type: ignore[arg-type]
    wanted = DARK if palette in (None, DARK) else LIGHT
    assert to_hex(ax.figure.get_facecolor()) == wanted.paper  # type: ignore[union-attr]
    assert lines(ax, wanted.blue)
    pyplot.close("all")
