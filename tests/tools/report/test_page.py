"""The page: every number derived again from the ledger, nothing loaded, no foreign text in HTML."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from page_reader import Page, read
from rederived import derived
from small_table import write_tables

import vitruvius as vt
from vitruvius.budget import Budget
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import NewTrial, Origin, ResultStatus, Run, Score
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Metric
from vitruvius.tools.report import Report, build_report
from vitruvius.tools.report.page import to_html
from vitruvius.tools.safe_text import names

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} &amp; </style>"
# said in words beside their number, or taken from the rows that the page quotes
NAMES = re.compile(r"T\d+(-T\d+)?(, T\d+(-T\d+)?)*")
NO_VALUE = {"curve.interval"}


class Story(Protocol):
    home: Path
    run_id: str
    values: dict[int, float | None]
    archs: list[Architecture]


@pytest.fixture(scope="module")
def report(same_story: Story) -> Report:
    space, task = load_space("nb201"), load_task("mnist1d")
    rng = np.random.default_rng(0)
    with Ledger.open(same_story.home) as ledger:
        scores = [
            Score(proxy="snip", architecture=a, value=float(rng.normal()), wall_s=0.1)
            for a in same_story.archs
        ]
        ledger.scores.put(space.id, task.id, scores)
        return build_report(ledger, same_story.run_id, space, task)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> vt.SearchRun:
    """A real run with a random arm, principles and cuts, on a table of 256 architectures."""
    folder = tmp_path_factory.mktemp("page")
    write_tables(folder)
    table = f"table:{folder}/near.csv,columns=first;second;third;fourth"
    return vt.search(
        f"{table},metric=accuracy", table, budget="45 trials", control=0.2, seed=3, workers=1,
        model="analyst", home=folder / "home",
    )  # fmt: skip


def page_of(run: vt.SearchRun) -> Page:
    return read(run.report_html)


def check(page: Page, expected: dict[tuple[str, str], float]) -> None:
    shown = {(n.fact, n.key) for n in page.numbers if n.fact not in NO_VALUE}
    assert not shown - set(expected), "numbers on the page that nothing checks"
    hidden = {pair for pair in set(expected) - shown if pair[0] != "promising"}
    assert not hidden, "facts that the page leaves out"
    for number in page.numbers:
        if number.fact in NO_VALUE:
            continue
        assert number.value == pytest.approx(
            expected[number.fact, number.key], rel=1e-6, abs=1e-9
        ), number


def test_every_number_of_a_written_run_is_that_of_its_rows(
    same_story: Story, report: Report
) -> None:
    space, metric = load_space("nb201"), load_task("mnist1d").metric
    check(read(to_html(report)), derived(same_story.home, same_story.run_id, space, metric))


def test_every_number_of_a_real_run_is_that_of_its_rows(searched: vt.SearchRun) -> None:
    page = page_of(searched)
    facts = {n.fact for n in page.numbers}
    assert {"cut.spared", "principle.effect", "curve.control", "promising"} <= facts
    check(page, derived(searched.home, searched.id, searched.space, searched.task.metric))


def test_what_is_read_is_the_value_that_the_page_carries(
    report: Report, searched: vt.SearchRun
) -> None:
    for number in [*read(to_html(report)).numbers, *page_of(searched).numbers]:
        if number.value is None or number.fact.endswith(("_s", "total")):
            continue  # an interval in words, or a time in hours and minutes
        shown = re.match(r"\$?([+-]?[\d,]*)(\.\d+)?(e[+-]\d+)?(%?)", number.text)
        assert shown is not None, number
        whole, decimals, power, share = (part or "" for part in shown.groups())
        read_as = float(f"{whole.replace(',', '')}{decimals}{power}")
        last = 10.0 ** (int(power[1:] or 0) - max(0, len(decimals) - 1))
        value = abs(number.value) if number.fact == "baseline.gap" else number.value
        value *= 100 if share else 1
        assert abs(read_as - value) <= 0.501 * last, number


def test_every_number_names_its_trials_or_its_source(report: Report) -> None:
    for number in read(to_html(report)).numbers:
        assert number.trials or number.source, number
        if number.trials:
            assert NAMES.fullmatch(number.trials), number


def test_a_long_list_of_trials_is_written_once_and_pointed_at(report: Report) -> None:
    numbers = tuple(range(1, 1001, 2))  # they cannot be joined to ranges
    page = read(to_html(replace(report, effects_on=numbers)))
    (listed,) = {n.trials for n in page.numbers if n.fact == "effect"}
    assert listed.startswith("#")
    assert page.lists[listed.removeprefix("#")] == names(numbers)


def test_no_measured_number_stands_alone(report: Report, searched: vt.SearchRun) -> None:
    for page in (read(to_html(report)), page_of(searched)):
        loose = [text for text in page.loose if re.search(r"\d\.\d|\d ?%", text)]
        allowed = re.compile(r"95 %|best 1 %|P\d+\.\d+")
        assert not [t for t in loose if re.search(r"\d\.\d|\d ?%", allowed.sub("", t))]


def test_every_link_leads_somewhere_on_the_page(report: Report, searched: vt.SearchRun) -> None:
    for page in (read(to_html(report)), page_of(searched)):
        assert page.is_whole
        assert not page.problems
        assert len(page.ids) == len(set(page.ids))
        assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
        assert all(link.startswith("#") for link in page.links)


def test_a_cut_by_what_is_not_on_the_page_links_nowhere(report: Report) -> None:
    cuts = [replace(c, cut=replace(c.cut, principle="you")) for c in report.cuts]
    page = read(to_html(replace(report, cuts=cuts)))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_nothing_is_loaded(report: Report) -> None:
    html = to_html(report)
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(|<link|<img|<iframe|\bsrc=", html.replace(HOSTILE, ""))
    assert html.count("<script") == 1


def test_the_dots_of_the_curve_stand_where_the_axis_says(searched: vt.SearchRun) -> None:
    html = searched.report_html
    ticks = [
        (float(top), float(value))
        for top, value in re.findall(r'class="y" style="top:([\d.]+)%">([^<]+)<', html)
    ]
    (top_1, value_1), (top_2, value_2) = ticks[0], ticks[-1]
    dots = re.findall(r'class="point (?!low)\w+" href="#T(\d+)".*?top:([\d.]+)%', html)
    with Ledger.open(searched.home) as ledger:
        values = {str(t.number): t.value for t in ledger.trials.of(searched.id)}
    assert len(dots) > 20
    for number, top in dots:
        there = value_1 + (float(top) - top_1) * (value_2 - value_1) / (top_2 - top_1)
        assert there == pytest.approx(values[number], abs=0.02)


def test_the_same_rows_give_the_same_page(searched: vt.SearchRun) -> None:
    assert searched.report_html == vt.open(searched.id, home=searched.home).report_html


def spoiled(report: Report, text: str) -> Report:
    """Returns the report with a text in every field that others may have written."""
    run: Run = replace(
        report.run, task_name=text, space_name=text, task_ref=text, space_ref=text,
        settings={"model": text},
    )  # fmt: skip
    trials = [replace(t, message=text, fidelity=text) for t in report.trials]

    def version(v: Any) -> Any:
        return replace(v, statement=text, rationale=text, author=text, task_name=text)

    return replace(
        report,
        run=run,
        metric=Metric(name=text, unit=text),
        trials=trials,
        models=[replace(m, model=text) for m in report.models],
        decisions={text: 1},
        failures={k: [replace(t, message=text) for t in v] for k, v in report.failures.items()},
        calibrations=[replace(c, proxy=text) for c in report.calibrations],
        effects=[
            replace(e, feature=replace(e.feature, name=text, description=text))
            for e in report.effects
        ],
        distrust=[text],
        suggestions=[replace(s, what=text, why=text, command=text) for s in report.suggestions],
        promising=[replace(p, architecture=Architecture(text)) for p in report.promising],
        principles=[
            replace(p, version=version(p.version), lineage=[version(v) for v in p.lineage])
            for p in report.principles
        ],
        cuts=[
            replace(c, cut=replace(c.cut, reason=text, undone_by=text, undone_reason=text))
            for c in report.cuts
        ],
    )


def test_hostile_text_changes_no_tag_of_the_page(report: Report) -> None:
    page = read(to_html(spoiled(report, HOSTILE)))
    plain = read(to_html(spoiled(report, "plain")))
    assert page.shape == plain.shape
    assert not [a for a in page.attributes if a[1].startswith("on") or "javascript" in a[2]]
    assert "7 * 7" in "".join(page.loose)
    assert "49" not in "".join(page.loose).split("7 * 7")[0]


def test_the_story_s_own_hostile_texts_are_shown_as_text(report: Report) -> None:
    html = to_html(report)
    assert "&lt;script&gt;alert(1)" in html
    assert "\x1b" not in html


def bare_run(ledger: Ledger) -> Run:
    space, task = load_space("nb201"), load_task("mnist1d")
    run = ledger.runs.create(
        space_ref=space.ref, space_id=space.id, space_name=space.name, task_ref=task.ref,
        task_id=task.id, task_name=task.name, seed=0, budget=Budget(trials=5), settings={},
        sources={},
    )  # fmt: skip
    ledger.runs.claim(run.id, "me")
    return run


def test_a_run_without_trials_has_a_page(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        run = bare_run(ledger)
        made = build_report(ledger, run.id, load_space("nb201"), load_task("mnist1d"))
    page = read(to_html(made))
    assert page.is_whole
    assert "No answer yet" in "".join(page.loose)


def test_a_run_whose_trials_all_failed_says_how(tmp_path: Path) -> None:
    space = load_space("nb201")
    rng = np.random.default_rng(0)
    with Ledger.open(tmp_path) as ledger:
        run = bare_run(ledger)
        decision = ledger.steps.add_decision(run.id, 0, "analyst", {"tool": "train"}, "accepted")  # type: ignore[arg-type]
        new = [
            NewTrial(architecture=space.sample(rng), fidelity="8ep", seed=0, origin=Origin.EXPLORE)
            for _ in range(3)
        ]
        for trial in ledger.trials.open(run.id, decision.id, new):
            ledger.results.start(trial.result_id, "me")
            ledger.results.close(trial.result_id, status=ResultStatus.FAILED, message=HOSTILE)
        made = build_report(ledger, run.id, space, load_task("mnist1d"))
    html = to_html(made)
    assert "None of 3 trials finished with a score" in html
    assert "&lt;script&gt;" in html
    assert "Make one architecture train" in html


def test_a_thousand_trials_stay_below_two_megabytes(report: Report, same_story: Story) -> None:
    space = load_space("nb201")
    rng = np.random.default_rng(0)
    first = report.trials[0]
    many = [
        replace(first, number=n, architecture=space.sample(rng), value=float(rng.normal(80, 5)),
                origin=Origin.ARCHITECT if n % 7 else Origin.EXPLORE)
        for n in range(1, 1001)
    ]  # fmt: skip
    numbers = tuple(range(1, 1001, 2))  # ranges that cannot be joined: the longest names there are
    big = replace(report, trials=many, effects_on=numbers, calibrated_on=numbers)
    assert len(to_html(big).encode()) < 2_000_000
    assert len(read(to_html(big)).ids) > 1000


def test_the_page_of_what_was_learned_from_rows(tmp_path: Path) -> None:
    write_tables(tmp_path)
    learned = vt.learn(
        f"table:{tmp_path}/near.csv,columns=first;second;third;fourth,metric=accuracy",
        rows=40,
        home=tmp_path / "home",
    )
    html = learned.report_html
    assert "What do 40 evaluated architectures" in html
    assert (learned.home / "runs" / learned.id / "report.html").read_text() == html
    assert read(html).is_whole
