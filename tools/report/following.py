"""The report's sections on what decides in the space and on what to try next."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.tools.report.facts import Report
from vitruvius.tools.safe_text import code, escape, names

SHOWN = 12  # features; the page has all


def effects(report: Report) -> Iterator[str]:
    """Yields the strongest features with their effect on an architecture's rank."""
    if not report.effects:
        yield "Too few trials finished to say what a feature is worth."
        return
    lines = ["| feature | effect (95 % interval) | with | without | |", "|---|---|---|---|---|"]
    for one in report.effects[:SHOWN]:
        lines.append(
            f"| {code(one.feature.name)} | {one.effect:+.2f} ({one.low:+.2f} to {one.high:+.2f}) "
            f"| {one.n_in} | {one.n_out} | {'' if one.is_clear else 'may be chance'} |"
        )
    yield "\n".join(lines)
    more = len(report.effects) - SHOWN
    yield (
        "In standard deviations of ranks, other features adjusted for; of a number, being above "
        f"its median. Measured on {names(report.effects_on)}."
        + (f" {more} more are in the page." if more > 0 else "")
    )


def next_steps(report: Report) -> Iterator[str]:
    """Yields what is worth doing next, in order, and what is promising and untried."""
    if not report.suggestions:
        yield "Nothing in the rows calls for it."
        return
    lines = []
    for place, one in enumerate(report.suggestions, start=1):
        rests = f" ({names(one.trials)})" if one.trials else ""
        command = f" Try {code(one.command)}." if one.command else ""
        lines.append(f"{place}. **{escape(one.what)}.** {escape(one.why)}{rests}{command}")
    yield "\n".join(lines)
    if report.promising:
        yield "\n".join(
            [
                "| untried architecture | chance to beat the best trial | |",
                "|---|---|---|",
                *(
                    f"| {code(one.architecture.text)} | {one.chance:.1%} "
                    f"| {'' if one.is_inside else 'cut off'} |"
                    for one in report.promising
                ),
            ]
        )
