"""Pareto, calibration and lineage: what is drawn is what the facts say."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from vitruvius.memory.records import Calibration, Standing
from vitruvius.tools.plots import LIGHT, plot_calibration, plot_lineage, plot_pareto
from vitruvius.tools.plots.pareto import front_of
from vitruvius.tools.report import Report


@pytest.fixture(scope="module")
def sized(read_report: Report) -> Report:
    trials = [replace(t, params=1000 * (1 + t.number % 7)) for t in read_report.trials]
    first = {}
    for trial in trials:
        first.setdefault(trial.architecture, trial.params)
    same = [replace(t, params=first[t.architecture]) for t in trials]
    return replace(read_report, trials=same)


def test_pareto_draws_each_architecture_once_and_names_the_front(sized: Report, ax: Axes) -> None:
    plot_pareto(sized, ax)
    found = front_of(sized.trials, sized.metric)
    low, high = ax.get_ylim()
    inside = [one for one in found if low <= one.value <= high]
    drawn = np.concatenate([c.get_offsets() for c in ax.collections[:2]])  # type: ignore[misc]
    assert sorted(map(tuple, drawn.tolist())) == sorted((o.params, o.value) for o in inside)
    (line,) = ax.get_lines()
    front = [one for one in found if one.is_on_front]
    assert list(line.get_ydata())[:-1] == [one.value for one in front]
    named = {text.get_text() for text in ax.texts}
    assert f"T{front[-1].trials[0]}" in named
    assert named <= {f"T{one.trials[0]}" for one in front}
    assert f"{len(found) - len(inside)} worse ones" in ax.get_xlabel().replace("\n", " ")


def test_pareto_marks_the_answer(sized: Report, ax: Axes) -> None:
    plot_pareto(sized, ax)
    assert sized.best is not None
    number = sized.best.finalist.found.number
    (answer,) = [o for o in front_of(sized.trials, sized.metric) if number in o.trials]
    (diamond,) = [c for c in ax.collections if to_hex(c.get_facecolor()[0]) == LIGHT.purple]  # type: ignore[index]
    assert diamond.get_offsets().tolist() == [[answer.params, answer.value]]  # type: ignore[union-attr]


def test_calibration_draws_each_proxy_and_what_counting_leaves_of_it(
    read_report: Report, ax: Axes
) -> None:
    rows = [
        Calibration(proxy="params", n=40, spearman=0.5, low=0.2, high=0.7),
        Calibration(proxy="snip", n=40, spearman=0.7, low=0.5, high=0.8, given=("depth", "params"),
                    partial=0.1, partial_low=-0.2, partial_high=0.4),
    ]  # fmt: skip
    plot_calibration(replace(read_report, calibrations=rows), ax)
    points = [float(c[0].get_xdata()[0]) for c in ax.containers]  # type: ignore[index]
    assert points == [0.7, 0.5, 0.1]
    (shade,) = ax.patches
    assert shade.get_x() == 0.2  # type: ignore[attr-defined]
    assert shade.get_x() + shade.get_width() == pytest.approx(0.7)  # type: ignore[attr-defined]
    assert "given depth and params" in ax.get_xlabel().replace("\n", " ")
    legend = ax.get_legend()
    assert legend is not None
    assert "demoted: no better than counting" in {t.get_text() for t in legend.get_texts()}


def test_lineage_changes_its_colour_where_the_standing_changed(
    read_report: Report, ax: Axes
) -> None:
    plot_lineage(read_report, ax)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    drawn = [(list(line.get_xdata()), to_hex(line.get_color())) for line in lines]
    end = len(read_report.trials)
    assert ([0, 14], LIGHT.grey) in drawn  # a candidate until it was measured
    assert ([14, end], LIGHT.green) in drawn
    assert ([14, end], LIGHT.red) in drawn
    marks = [line.get_marker() for line in ax.get_lines() if len(line.get_xdata()) == 1]  # type: ignore[arg-type]
    assert sorted(marks) == ["X", "o", "o", "o", "x"]  # written, and how they stand now


def test_lineage_joins_a_principle_to_what_it_was_made_from(read_report: Report, ax: Axes) -> None:
    first, second, *_ = read_report.principles
    merged = replace(
        second,
        written=(7,),
        looks=[],
        standing=Standing.CANDIDATE,
        lineage=[replace(second.version, edit="merge", parents=(first.version.name,))],
    )
    plot_lineage(replace(read_report, principles=[first, merged]), ax)
    joins = [line for line in ax.get_lines() if list(line.get_xdata()) == [7, 7]]
    assert [list(line.get_ydata()) for line in joins] == [[0, 1]]


@pytest.mark.parametrize("plot", [plot_pareto, plot_calibration, plot_lineage])
def test_nothing_to_draw_is_said(read_report: Report, ax: Axes, plot) -> None:  # type: ignore[no-untyped-def]
    plot(replace(read_report, trials=[], calibrations=[], principles=[]), ax)
    (text,) = ax.texts
    assert text.get_text().startswith("No ")
    assert not ax.axison
