"""What a notebook shows is what the ledger holds, and text of others stays text."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

import vitruvius as vt
from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.tools.plots.palette import DARK, LIGHT
from vitruvius.tools.report import Report

VOID = {"br", "hr", "img"}
KNOWN = {"style", "div", "table", "tr", "td", "th", "pre", "svg", "g", "path", "text", "a", "title",
         "defs", "use", "clippath", "rect", "polyline", "circle", "tspan", "marker", "line",
         "polygon", "span"}  # fmt: skip


class Seen(HTMLParser):
    """Collects tags, attributes and words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append(tag)
        self.attributes += [f"{name}={value}" for name, value in attrs]
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += f" {data} "


@pytest.fixture(scope="module")
def run(read_story: Any) -> vt.SearchRun:
    return vt.open(read_story.run_id, home=read_story.home)


SHOWN = {
    "run": lambda run: run,
    "best": lambda run: run.best,
    "trial": lambda run: run.trial("T5"),
    "principle": lambda run: run.principle("P1"),
    "given up": lambda run: run.principle(3),
    "region": lambda run: run.region,
    "drawing": lambda run: run.draw(run.trial(1).architecture),
}


@pytest.mark.parametrize("what", SHOWN)
def test_hostile_text_stays_text_and_every_tag_is_closed(run: vt.SearchRun, what: str) -> None:
    html = SHOWN[what](run)._repr_html_()
    seen = Seen(html)
    assert seen.open == []
    assert set(seen.tags) <= KNOWN, set(seen.tags) - KNOWN
    assert not [a for a in seen.attributes if re.match(r"on\w+=|src=|href=(?!#)", a)]
    assert "\x1b" not in html
    assert "<script>alert(1)</script>" in re.sub(r"\s+", "", seen.words) or what in (
        "best", "drawing", "run"
    )  # fmt: skip


def test_the_card_of_a_run_says_its_answer_and_its_account(
    run: vt.SearchRun, read_report: Report
) -> None:
    words = Seen(run._repr_html_()).words
    assert read_report.best is not None
    confirmed = read_report.best.finalist.confirmed
    assert confirmed is not None
    assert f"{confirmed.mean:.4g} %" in words
    assert "mean of 3 fresh seeds" in words
    assert "spent 24 trials" in words
    assert run.id in words


def test_cards_follow_the_theme_of_the_notebook(run: vt.SearchRun) -> None:
    html = run.region._repr_html_()  # type: ignore[attr-defined]
    assert LIGHT.variables() in html
    for dark in ("[data-jp-theme-light=false]", ".vscode-dark", "html[theme=dark]"):
        assert dark in html
    assert DARK.variables() in html


def test_a_trial_is_found_by_name_or_number(run: vt.SearchRun, read_story: Any) -> None:
    assert run.trial("T10").value == run.trial(10).value == read_story.values[10]
    assert run.trial("t10").name == "T10"
    assert str(run.trial(10).drawing) == run.space.draw(run.trial(10).architecture)
    assert run.trial(5).author == "analyst"
    with pytest.raises(ToolError, match="no trial T99"):
        run.trial(99)
    with pytest.raises(ToolError, match="such as T3, got 'best'"):
        run.trial("best")
    with pytest.raises(AttributeError):
        _ = run.trial(10).nothing


def test_a_principle_has_its_history_and_its_evidence(run: vt.SearchRun) -> None:
    given_up = run.principle("P3.1")
    assert list(given_up.history.index) == ["P3.1", "P3.2"]
    assert list(given_up.history["edit"]) == ["add", "retire"]
    held = run.principle("P1")
    assert held.standing == "supported"
    assert list(held.evidence.index) == [14]
    assert held.evidence.loc[14, "supporting"] == (9, 10)
    with Ledger.open(run.home) as ledger:
        (row,) = [e for e in ledger.evidence.of(run.id) if e.principle == 1]
    assert held.evidence.loc[14, "effect"] == row.effect
    with pytest.raises(ToolError, match="no principle P9; it has: P1, P2, P3"):
        run.principle("P9")


def test_the_region_says_what_is_left(run: vt.SearchRun) -> None:
    words = Seen(run.region._repr_html_()).words  # type: ignore[attr-defined]
    assert f"{run.region.fraction():.1%} of nb201 is left" in words
    assert repr(run.region).endswith(f"{len(run.region.cuts)} cuts)")


def test_every_plot_draws_into_given_axes(run: vt.SearchRun) -> None:
    from matplotlib.figure import Figure

    for name in ("search_curve", "effects", "calibration", "pareto", "lineage"):
        ax = Figure().add_subplot()
        assert getattr(run.plot, name)(ax) is ax
        assert ax.get_title(loc="left") or ax.texts


def test_a_run_whose_space_is_gone_still_shows_where_it_stands(
    run: vt.SearchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: object) -> Report:
        raise ConfigError("give the <space> again")

    monkeypatch.setattr("vitruvius.run.facts.RunFacts.report", gone)
    html = run._repr_html_()
    assert "give the &lt;space&gt; again" in html
    assert "spent 24 trials" in html
