"""The plot of effects shows each principle's last measurement."""

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitruvius.tools.plots import plot_effects
from vitruvius.tools.plots.effects import MOST, effects_height
from vitruvius.tools.report import Report


def test_each_measured_principle_has_its_effect_and_interval(read_report: Report, ax: Axes) -> None:
    plot_effects(read_report, ax)
    shown = [p.evidence for p in read_report.principles if p.evidence is not None]
    assert len(shown) == len(ax.containers) == 2
    for evidence, drawn in zip(shown, ax.containers, strict=True):
        point, _, (bar,) = drawn  # type: ignore[misc]
        assert point.get_xdata() == [evidence.effect]
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [evidence.low, evidence.high])
    labels = " ".join(text.get_text() for text in ax.texts)
    assert all(f"P{evidence.principle}.{evidence.version}" in labels for evidence in shown)


def test_of_many_principles_the_first_are_drawn_and_it_says_so(
    read_report: Report, ax: Axes
) -> None:
    many = [p for p in read_report.principles if p.evidence is not None] * 20
    plot_effects(replace(read_report, principles=many), ax)
    assert len(ax.containers) == MOST
    assert f"the first {MOST} of {len(many)}" in ax.get_title(loc="left").replace("\n", " ")


def test_labels_stay_within_a_narrow_picture(read_report: Report) -> None:
    height = effects_height(read_report)
    ax = Figure(figsize=(3.4, height), layout="constrained").add_subplot()
    plot_effects(read_report, ax)
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    assert ax.get_position().width > 0.35
    assert all(text.get_window_extent().x0 >= 0 for text in ax.texts)


def test_nothing_measured_is_said(read_report: Report, ax: Axes) -> None:
    plot_effects(replace(read_report, principles=[]), ax)
    assert [text.get_text() for text in ax.texts] == ["No principle has been measured yet."]
