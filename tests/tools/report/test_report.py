"""A report says what the ledger holds: every number is derived again here, by other code."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy import stats

from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Origin, RunStatus, Standing
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.registry import load_task
from vitruvius.tools.report import Report, build_report, summary, to_markdown, write_report
from vitruvius.tools.report.distrust import distrust_of
from vitruvius.tools.report.page import to_html

CONFIRMED = {"best": (19, 21, 23), "second": (20, 22, 24)}


class Story(Protocol):
    home: Path
    run_id: str
    values: dict[int, float | None]
    tests: dict[int, float]
    archs: list[Architecture]


@pytest.fixture
def report(story: Story) -> Report:
    with Ledger.open(story.home) as ledger:
        return build_report(ledger, story.run_id, load_space("nb201"), load_task("mnist1d"))


def value(story: Story, number: int) -> float:
    found = story.values[number]
    assert found is not None
    return found


def test_the_best_is_judged_on_fresh_seeds_alone(story: Story, report: Report) -> None:
    assert report.best is not None
    best = report.best.finalist
    mine = [value(story, n) for n in CONFIRMED["best"]]
    other = [value(story, n) for n in CONFIRMED["second"]]
    pooled = math.sqrt((np.var(mine, ddof=1) + np.var(other, ddof=1)) / 2)
    half = stats.t.ppf(0.975, 4) * pooled / math.sqrt(3)
    assert best.architecture == story.archs[9]
    assert best.confirmed is not None
    assert best.confirmed.trials == CONFIRMED["best"]
    assert best.confirmed.mean == pytest.approx(np.mean(mine))
    assert best.confirmed.low == pytest.approx(np.mean(mine) - half)
    assert best.confirmed.high == pytest.approx(np.mean(mine) + half)
    assert best.search is not None
    assert best.search.mean == pytest.approx(np.mean([value(story, n) for n in (10, 17, 18)]))
    assert best.test is not None
    assert best.test.mean == pytest.approx(np.mean([story.tests[n] for n in CONFIRMED["best"]]))
    assert best.found.number == 10
    assert [f.architecture for f in report.finalists] == [story.archs[9], story.archs[10]]


def test_the_weights_are_those_of_the_best_seed_by_validation(story: Story, report: Report) -> None:
    assert report.best is not None
    assert report.best.weights is not None
    number, path = report.best.weights
    assert number == max((10, 17, 18, *CONFIRMED["best"]), key=lambda n: value(story, n))
    with Ledger.open(story.home) as ledger:
        assert ledger.trials.weights(story.run_id)[number] == path


def test_noise_is_pooled_over_architectures_with_several_seeds(
    story: Story, report: Report
) -> None:
    groups = [(10, 17, 18, *CONFIRMED["best"]), (11, *CONFIRMED["second"])]
    squares = sum(
        sum((value(story, n) - np.mean([value(story, m) for m in g])) ** 2 for n in g)
        for g in groups
    )
    assert report.noise is not None
    assert report.noise.freedom == 8
    assert report.noise.deviation == pytest.approx(math.sqrt(squares / 8))
    assert report.noise.trials == tuple(sorted(n for g in groups for n in g))


def test_the_curve_holds_the_best_so_far_of_each_arm(story: Story, report: Report) -> None:
    order = [*range(1, 15), 17, 18]
    assert [point.n for point in report.curve.points] == [1, 2, 4, 8, 16]
    for point in report.curve.points:
        done = [(value(story, n), n) for n in order[: point.n] if story.values[n] is not None]
        assert point.agent == max(done)
        arm = [(value(story, n), n) for n in (15, 16)][: point.n]
        assert point.control == (max(arm) if point.n <= 2 else None)
    assert report.curve.uniform == (*range(1, 9), 15, 16)
    assert report.curve.reach == ()
    assert report.curve.share_high == pytest.approx(1 - 0.05 ** (1 / 10))  # the rule for no hit


def test_the_account_adds_up(report: Report) -> None:
    counts = {account.kind: len(account.trials) for account in report.accounts}
    assert counts == {"explore": 8, "architect": 6, "repeat": 2, "control": 2, "confirm": 6}
    assert sum(account.train_s for account in report.accounts) == pytest.approx(23 * 3.0 + 1.5)
    assert report.spent.trials == report.n_trials == 24
    (model,) = report.models
    assert (model.tokens_in, model.tokens_out, model.dollars, model.estimated) == (
        100, 10, 0.25, True,
    )  # fmt: skip
    assert {kind: [t.number for t in mine] for kind, mine in report.failures.items()} == {
        "diverged": [5]
    }
    assert report.decisions == {"analyst, carried_out": 1, "gpt-x, malformed": 1}


def test_a_cut_is_audited_by_the_trials_outside_it(story: Story, report: Report) -> None:
    first, second = report.cuts
    with Ledger.open(story.home) as ledger:
        specs = {t.number: t.architecture.spec for t in ledger.trials.of(story.run_id)}
    outside = {
        1: tuple(n for n, spec in specs.items() if spec["edge_0_1"] == "none"),
        2: tuple(n for n, spec in specs.items() if spec["edge_0_3"] != "nor_conv_3x3"),
    }
    for audit in (first, second):
        expected = outside[audit.cut.number]
        assert audit.outside == expected
        known = [(value(story, n), n) for n in expected if story.values[n] is not None]
        assert audit.best_outside == max(known)
    assert first.cut.in_force
    assert not second.cut.in_force
    assert 0.75 < report.region_left < 0.95  # of the sampler, about one in eight is cut


def test_principles_come_with_evidence_lineage_and_cuts(report: Report) -> None:
    by_name = {p.version.name: p for p in report.principles}
    assert list(by_name) == ["P1.1", "P2.1", "P3.2"]
    assert [p.standing for p in report.principles] == [
        Standing.SUPPORTED,
        Standing.CONTRADICTED,
        Standing.RETIRED,
    ]
    evidence = by_name["P1.1"].evidence
    assert evidence is not None
    assert (evidence.effect, evidence.supporting) == (0.8, (9, 10))
    assert by_name["P1.1"].cuts == (1, 2)
    assert [v.name for v in by_name["P3.2"].lineage] == ["P3.1", "P3.2"]


def test_every_measured_number_stands_beside_its_trials(report: Report) -> None:
    shown = to_markdown(report)
    for line in shown.splitlines():
        if line.startswith("| architect | gpt-x"):
            continue  # a model's cost rests on calls, not on trials
        if re.search(r"\d\.\d+ %|effect [+-]|\| \d+\.\d+ ", line) and "best 1 %" not in line:
            assert re.search(r"T\d+", line), line
    assert "T19, T21, T23" in shown
    assert "for T9-T10; against T3" in shown
    assert "up to T14 (look 2)" in shown


def test_the_same_rows_give_the_same_text(story: Story, report: Report) -> None:
    with Ledger.open(story.home) as ledger:
        again = build_report(ledger, story.run_id, load_space("nb201"), load_task("mnist1d"))
    assert to_markdown(again) == to_markdown(report)


def test_test_figures_are_in_the_report_and_not_in_the_summary(report: Report) -> None:
    assert "Test: 97." in to_markdown(report)
    assert "est: 9" not in summary(report)


def structure(markdown: str) -> list[tuple[str, list[str]]]:
    """Returns what a reader's Markdown engine sees, without the text."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    special = {"text", "text_special", "softbreak"}
    return [(t.type, [c.type for c in t.children or () if c.type not in special]) for t in tokens]


def harmless(report: Report) -> Report:
    """Returns the report with every text that others wrote replaced by a plain word."""

    def plain(version: Any) -> Any:
        return replace(version, statement="plain", rationale="plain")

    failures = {
        kind: [replace(trial, message="plain") for trial in mine]
        for kind, mine in report.failures.items()
    }
    return replace(
        report,
        failures=failures,
        principles=[
            replace(p, version=plain(p.version), lineage=[plain(v) for v in p.lineage])
            for p in report.principles
        ],
        cuts=[
            replace(
                c,
                cut=replace(
                    c.cut,
                    reason="plain",
                    undone_reason="plain" if c.cut.undone_reason else None,
                ),
            )
            for c in report.cuts
        ],
    )


def test_hostile_text_changes_no_structure(report: Report) -> None:
    assert "pwned" in to_markdown(report)
    assert "\x1b" not in to_markdown(report) + summary(report)
    for render in (to_markdown, summary):
        assert structure(render(report)) == structure(render(harmless(report)))


def doubts(report: Report, story: Story) -> str:
    with Ledger.open(story.home) as ledger:
        return "\n".join(distrust_of(report, ledger.trials.of(story.run_id)))


def test_doubts_are_raised_by_the_rows(report: Report, story: Story) -> None:
    said = doubts(report, story)
    assert "10 uniform draws are too few" in said
    assert "Supported with fewer than 5 trials on one side, so mostly by the model: P1.1." in said
    assert "Some token counts are estimates" in said
    assert "The analyst took 1 decision because" in said
    assert "not done" not in said
    assert "not confirmed" not in said


def test_an_unfinished_and_unconfirmed_run_says_so(report: Report, story: Story) -> None:
    assert report.best is not None
    bare = replace(report.best.finalist, confirmed=None)
    changed = replace(
        report,
        run=replace(report.run, status=RunStatus.INTERRUPTED),
        best=replace(report.best, finalist=bare),
    )
    said = doubts(changed, story)
    assert "The run is interrupted, not done" in said
    assert "not confirmed on fresh seeds: T10 is the best of many noisy numbers" in said


def test_without_any_score_there_is_no_best(report: Report, story: Story) -> None:
    empty = replace(report, best=None, finalists=())
    assert "no best network" in doubts(empty, story)
    assert "None: no trial finished with a score." in to_markdown(empty)


def test_a_run_without_trials_has_a_report(tmp_path: Path) -> None:
    space, task = load_space("nb201"), load_task("mnist1d")
    with Ledger.open(tmp_path) as ledger:
        run = ledger.runs.create(
            space_ref=space.ref, space_id=space.id, space_name=space.name, task_ref=task.ref,
            task_id=task.id, task_name=task.name, seed=0, budget=report_budget(), settings={},
            sources={},
        )  # fmt: skip
        made = build_report(ledger, run.id, space, task)
        text = to_markdown(made)
    assert "No trial is closed yet." in text
    assert "no best network" in text


def report_budget() -> Any:
    from vitruvius.budget import Budget

    return Budget(trials=5)


def test_a_random_arm_that_does_as_well_is_told(report: Report, story: Story) -> None:
    with Ledger.open(story.home) as ledger:
        trials = ledger.trials.of(story.run_id)
    lucky = [replace(t, value=99.9) if t.origin == Origin.CONTROL else t for t in trials]
    assert "The random arm did as well as the search: T15-T16 against T" in "\n".join(
        distrust_of(report, lucky)
    )


def test_the_file_is_written_whole(story: Story, tmp_path: Path, report: Report) -> None:
    with Ledger.open(story.home) as ledger:
        path = write_report(
            ledger,
            story.run_id,
            load_space("nb201"),
            load_task("mnist1d"),
            tmp_path / "run",
            RunStatus.DONE,
        )
    assert path.read_text() == to_markdown(report)
    assert (path.parent / "report.html").read_text() == to_html(report)
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == ["report.html", "report.md", "summary.json"]


def test_a_bench_is_spared_the_page(story: Story, tmp_path: Path) -> None:
    space, task = load_space("nb201"), load_task("mnist1d")
    with Ledger.open(story.home) as ledger:
        path = write_report(
            ledger, story.run_id, space, task, tmp_path, RunStatus.DONE, with_page=False
        )
    assert [p.name for p in path.parent.glob("report*")] == ["report.md"]


def test_a_folder_that_cannot_be_written_is_told(story: Story, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        Ledger.open(story.home) as ledger,
        pytest.raises(VitruviusError, match="cannot write the report"),
    ):
        write_report(
            ledger,
            story.run_id,
            load_space("nb201"),
            load_task("mnist1d"),
            tmp_path / "file/run",
            RunStatus.DONE,
        )
