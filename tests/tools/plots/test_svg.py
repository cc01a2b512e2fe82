"""A plot as SVG fits into a page: its theme, its font, no id of another, nothing from outside."""

import re
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace

import matplotlib

from vitruvius.tools.plots import LIGHT, plot_search_curve, to_svg
from vitruvius.tools.report import Report


def test_colours_are_the_pages_variables(read_report: Report) -> None:
    svg = to_svg(lambda ax: plot_search_curve(read_report, ax))
    left = re.sub(r"var\(--\w+, #\w{6}\)", "", svg)
    assert not re.search(r"#[0-9a-f]{6}\b", left)
    assert f"var(--blue, {LIGHT.blue})" in svg
    assert set(re.findall(r"var\(--(\w+)", svg)) <= set(asdict(LIGHT))


def test_it_is_one_element_without_fonts_styles_or_addresses(read_report: Report) -> None:
    svg = to_svg(lambda ax: plot_search_curve(read_report, ax))
    assert ET.fromstring(svg).tag == "svg"
    assert not re.search(r"font-family|<style|<metadata|https?://|target=", svg)
    assert "trials of the search</text>" in svg


def test_ids_bear_the_name_and_every_use_finds_one(read_report: Report) -> None:
    svg = to_svg(lambda ax: plot_search_curve(read_report, ax), name="curve-")
    ids = re.findall(r' id="([^"]*)"', svg)
    assert ids
    assert len(ids) == len(set(ids))
    assert all(name.startswith("curve-") for name in ids)
    used = re.findall(r'url\(#([^)]*)\)|<use href="#([^"]*)"', svg)
    assert {a or b for a, b in used} == set(ids)


def test_the_same_facts_give_the_same_text_and_trials_are_linked(read_report: Report) -> None:
    first, second = (to_svg(lambda ax: plot_search_curve(read_report, ax)) for _ in range(2))
    assert first == second
    assert '<a href="#T1"><title>T1</title>' in first


def test_hostile_words_stay_words(read_report: Report) -> None:
    odd = replace(read_report.metric, name='<script>alert(1)</script>" onload="x')
    svg = to_svg(lambda ax: plot_search_curve(replace(read_report, metric=odd), ax))
    assert "<script" not in svg
    assert ET.fromstring(svg) is not None
    assert not re.search(r'<[^>]*onload="', svg)


def test_parameters_of_the_user_stay_as_they_are(read_report: Report) -> None:
    before = dict(matplotlib.rcParams)
    to_svg(lambda ax: plot_search_curve(read_report, ax))
    assert dict(matplotlib.rcParams) == before
