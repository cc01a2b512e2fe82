"""The report of a run that learned from rows: what it was given, what the rows say."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.memory.model.ranking import MAX_TRIALS
from vitruvius.memory.records import RunStatus
from vitruvius.tools.report.facts import Report
from vitruvius.tools.report.learned import effect_text, principles
from vitruvius.tools.report.words import plural, value_text
from vitruvius.tools.safe_text import code, escape

FEW_ROWS = 20


def lesson_markdown(report: Report) -> str:
    """Returns the whole report, the same text for the same rows."""
    doubts = "\n".join(f"- {doubt}" for doubt in doubts_of_lesson(report))
    parts = [
        f"# Report of run {report.run.id}",
        *_given(report),
        "## What to distrust",
        doubts or "Nothing in the rows raises a doubt.",
        "## What was learned",
        *principles(report),
    ]
    return "\n\n".join(parts) + "\n"


def lesson_summary(report: Report) -> str:
    """Returns what a person wants to know first: what was given, and what was learned from it."""
    lines = [
        f"- {p.version.name}: {escape(p.version.statement)} ({effect_text(p, report.metric)})"
        for p in report.principles
    ]
    parts = [
        f"## What run {report.run.id} learned",
        *_given(report),
        "\n".join(lines) or "No principle is borne out by the rows.",
    ]
    doubts = list(doubts_of_lesson(report))
    if doubts:
        parts += ["## What to distrust", "\n".join(f"- {doubt}" for doubt in doubts)]
    return "\n\n".join(parts) + "\n"


def _given(report: Report) -> Iterator[str]:
    run, told = report.run, report.run.settings.get("learn", {})
    came = f"the trials of run {run.parent}" if run.parent else code(run.task_ref or run.task_name)
    chosen = []
    if told.get("rows"):
        chosen.append(f"{told['rows']:,} drawn at random with seed {run.seed}")
    if told.get("best"):
        chosen.append(f"the best {told['best']:,} only")
    said = f" ({', of these '.join(chosen)})" if chosen else ""
    yield (
        f"{plural(report.n_trials, 'row')}{said} of {came}, called {code(run.task_name)}, in space "
        f"{code(run.space_ref or run.space_name)}. Nothing was trained. Status {run.status}."
    )
    if report.n_trials > MAX_TRIALS:
        yield (
            f"T1-T{MAX_TRIALS} condition the statistics: a random sample first, then the best of "
            f"the rest, decided by seed {run.seed}. A search that uses this run sees every row."
        )
    if report.best is not None and report.best.finalist.found.value is not None:
        found = report.best.finalist.found
        yield (
            f"The best row is {found.name}, {value_text(found.value or 0.0, report.metric)}: "
            f"{code(found.architecture.text)}"
        )


def doubts_of_lesson(report: Report) -> Iterator[str]:
    """Yields what to distrust in what was learned from rows."""
    told = report.run.settings.get("learn", {})
    if report.run.status != RunStatus.DONE:
        yield f"The run is {report.run.status}: `vitruvius resume {report.run.id}` ends it."
    if report.n_trials < FEW_ROWS:
        yield f"Only {plural(report.n_trials, 'row')}; below {FEW_ROWS} most differences are luck."
    if told.get("best"):
        yield (
            "Only the best rows were given, so principles tell good from very good. What the best "
            "have in common guides the model of a search, and is no principle here."
        )
