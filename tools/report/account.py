"""The report's sections on cost, failures and proxies."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.memory.evidence.calibration import COUNTED, verdict
from vitruvius.memory.records import Calibration
from vitruvius.tools.report.facts import Report
from vitruvius.tools.report.words import plural, seconds
from vitruvius.tools.safe_text import code, escape, names

MEANING = {
    "explore": "drawn uniformly",
    "architect": "chosen",
    "repeat": "the incumbent again, for the noise",
    "control": "random arm",
    "confirm": "finalists on fresh seeds",
    "given": "evaluated elsewhere",
}


def account(report: Report) -> Iterator[str]:
    """Yields the trials and seconds by kind, then the model's tokens and dollars."""
    lines = ["| kind | trials | of them reused | training time |", "|---|---|---|---|"]
    for entry in report.accounts:
        lines.append(
            f"| {entry.kind}: {MEANING[entry.kind]} | {len(entry.trials)} ({names(entry.trials)}) "
            f"| {names(entry.reused) or 'none'} | {seconds(entry.train_s)} |"
        )
    total = sum(entry.train_s for entry in report.accounts)
    lines.append(f"| all | {report.n_trials} | | {seconds(total)} |")
    yield "\n".join(lines)
    if report.short is not None:
        short = report.short
        yield (
            f"Before them run {short.run_id} made {plural(short.trials, 'short training')} "
            f"({escape(short.fidelity)}) in {seconds(short.train_s)}, which this budget pays too."
        )
    if report.stopped is not None:
        stopped = report.stopped
        yield (
            f"Stopped early: {plural(len(stopped.trials), 'training')} ({names(stopped.trials)}), "
            f"in {seconds(stopped.train_s)}; to the end they would have taken "
            f"{seconds(stopped.whole_s)}. Uniform draws among them, {stopped.uniform}, count as "
            "worse than all others where the search is compared with random search."
        )
    counts = ", ".join(f"{escape(kind)} {n}" for kind, n in sorted(report.decisions.items()))
    yield f"Decisions by author and what became of them: {counts or 'none'}."
    if not report.models:
        yield "No language model was called."
        return
    lines = [
        "| chair | model | calls | errors | tokens in | tokens out | dollars | time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in report.models:
        about = "about " if model.estimated else ""
        lines.append(
            f"| {model.chair} | {escape(model.model)} | {model.calls} | {model.errors} "
            f"| {about}{model.tokens_in:,} | {about}{model.tokens_out:,} | {model.dollars:.4f} "
            f"| {seconds(model.wall_s)} |"
        )
    yield "\n".join(lines)


def failures(report: Report) -> Iterator[str]:
    """Yields the failed trials by kind, with the message of the first of each."""
    if not report.failures:
        yield "None."
        return
    yield "\n".join(
        f"- {kind}: {plural(len(mine), 'trial')} ({names(t.number for t in mine)}). "
        f"{mine[0].name} says: {escape(mine[0].problem or 'nothing')}"
        for kind, mine in report.failures.items()
    )


def calibrations(report: Report) -> Iterator[str]:
    """Yields each proxy's rank correlation with the trained results, its weight and verdict."""
    if not report.calibrations:
        yield "No proxy was computed for enough trained architectures."
        return
    given = sorted({name for one in report.calibrations for name in one.given})
    lines = [
        f"| proxy | trials | rank correlation | given {' and '.join(given) or 'nothing'} "
        "| weight in the model | verdict |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(report.calibrations, key=lambda c: (c.proxy in COUNTED, -abs(c.spearman)))
    for one in order:
        weight = "" if one.weight is None else f"{one.weight:+.2f}"
        lines.append(
            f"| {code(one.proxy)} | {one.n} | {_interval(one.spearman, one.low, one.high)} "
            f"| {_partial(one)} | {weight} | {verdict(one)} |"
        )
    yield "\n".join(lines)
    yield (
        "Correlations are of ranks, with 95 % intervals. A weight is what one standard deviation "
        "of the proxy moves the expected score by, in its standard deviations, all other proxies "
        "and the features held fixed."
    )
    yield f"Measured on {names(report.calibrated_on) or 'no trials'}."


def _partial(one: Calibration) -> str:
    if one.partial is None or one.partial_low is None or one.partial_high is None:
        return ""
    return _interval(one.partial, one.partial_low, one.partial_high)


def _interval(middle: float, low: float, high: float) -> str:
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"
