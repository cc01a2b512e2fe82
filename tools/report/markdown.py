"""The report as Markdown. Text that others wrote is escaped; numbers come with their trials."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.budget import budget_text
from vitruvius.memory.records import RunKind, Spent, Standing
from vitruvius.spaces.rules import words
from vitruvius.tools.report.account import account, calibrations, failures
from vitruvius.tools.report.facts import Best, Finalist, Report
from vitruvius.tools.report.learned import (
    cuts,
    effect_text,
    lesson_markdown,
    lesson_summary,
    principles,
)
from vitruvius.tools.report.transfer import transferred
from vitruvius.tools.report.words import (
    band_text,
    compared,
    estimate_text,
    interval,
    plural,
    question,
    seconds,
    value_text,
)
from vitruvius.tools.safe_text import code, escape, names

SHOWN_IN_SUMMARY = 5

SHOWN = 12  # features; the page has all


def to_markdown(report: Report) -> str:
    """Returns the whole report, the same text for the same rows."""
    if report.run.kind == RunKind.LEARN:
        return lesson_markdown(report)
    parts = [
        "\n".join(_head(report)),
        "## Best network",
        *_best(report),
        "## What to distrust",
        "\n".join(f"- {escape(doubt, 2000)}" for doubt in report.distrust)
        or "Nothing in the rows raises a doubt.",
        "## What decides",
        *effects(report),
        "## What was learned",
        *principles(report),
        "## What was transferred",
        *transferred(report),
        "## What was pruned",
        *cuts(report),
        "## The search beside random search",
        *_curve(report),
        "## What it cost",
        *account(report),
        "## Failures",
        *failures(report),
        "## Proxies",
        *calibrations(report),
        "## What to try next",
        *next_steps(report),
    ]
    return "\n\n".join(parts) + "\n"


def summary(report: Report) -> str:
    """Returns what a person wants to know first: the best network, what was learned and pruned."""
    if report.run.kind == RunKind.LEARN:
        return lesson_summary(report)
    held = [p for p in report.principles if p.standing == Standing.SUPPORTED][:SHOWN_IN_SUMMARY]
    lines = [
        f"- {p.version.name}: {escape(p.version.statement)} ({effect_text(p, report.metric)})"
        for p in held
    ]
    in_force = [audit.cut for audit in report.cuts if audit.cut.in_force]
    parts = [
        f"## Best network of run {report.run.id}",
        *_best(report, short=True),
        "## What was learned",
        "\n".join(lines) or "No principle is supported by the trials.",
        "## What was pruned",
        "\n".join(
            f"- cut {cut.number} by {cut.principle} keeps {escape(words(cut.rule))}: "
            f"{escape(cut.reason)}"
            for cut in in_force
        )
        or "Nothing: no principle was sure enough to cut.",
    ]
    if in_force:
        parts.append(f"{report.region_left:.1%} of the space is left.")
    if report.distrust:
        parts += [
            "## What to distrust",
            "\n".join(f"- {escape(d, 2000)}" for d in report.distrust[:3]),
        ]
    return "\n\n".join(parts) + "\n"


def _head(report: Report) -> Iterator[str]:
    run, spent = report.run, report.spent
    task, space = code(run.task_ref or run.task_name), code(run.space_ref or run.space_name)
    yield f"# Report of run {run.id}"
    yield ""
    yield escape(question(report))
    yield ""
    yield (
        f"Task {task}, space {space}, seed {run.seed}, "
        f"model {code(str(run.settings.get('model', '?')))}. "
        f"Status {run.status}. Budget {escape(budget_text(run.budget))}; spent "
        f"{plural(spent.trials, 'trial')}, {seconds(spent.wall_s)}, {_trained(spent)}"
        f"{plural(spent.tokens, 'token')}, \\${spent.dollars:.2f}. "
        f"Started {run.created:%Y-%m-%d %H:%M} UTC."
    )


def _trained(spent: Spent) -> str:
    return "" if spent.train_s is None else f"{seconds(spent.train_s)} of training, "


def _best(report: Report, *, short: bool = False) -> Iterator[str]:
    if report.best is None:
        yield "None: no trial finished with a score."
        return
    best, metric = report.best.finalist, report.metric
    name = escape(metric.name)
    if best.confirmed is not None:
        yield (
            f"Validation {name} **{estimate_text(best.confirmed, metric)}**, mean of "
            f"{plural(len(best.confirmed.trials), 'fresh seed')}: {names(best.confirmed.trials)}."
        )
    elif best.search is not None:
        said = "not confirmed" if report.is_noisy else "the task repeats exactly"
        yield (
            f"Validation {name} **{value_text(best.search.mean, metric)}** "
            f"({names(best.search.trials)}; {said})."
        )
    if report.baseline is not None and not short:
        found, among = report.baseline.found, names(report.baseline.among)
        said = "; ".join(compared(report.baseline, report))
        yield f"That is {escape(said)}: {found.name} of {among}."
    yield "\n".join(_facts(report, best, short))
    yield _fenced(report.best.drawing)
    yield _where(report, report.best)
    if not short and len(report.finalists) > 1:
        yield "\n".join(_finalist_table(report))


def _facts(report: Report, best: Finalist, short: bool) -> Iterator[str]:
    metric, found = report.metric, best.found
    if best.test is not None and not short:  # while a run can be steered, no test figure is shown
        yield f"- Test: {estimate_text(best.test, metric)}, from {names(best.test.trials)}."
    if found.value is not None:
        yield f"- Found as {found.name} ({found.origin}) with {value_text(found.value, metric)}."
    if found.params is not None:
        yield f"- {found.params:,} parameters ({found.name})."
    if found.flops is not None:
        yield f"- {found.flops:,} multiply-adds for one example ({found.name})."
    if report.noise is not None:
        yield (
            f"- Noise between seeds: {value_text(report.noise.deviation, metric)} standard "
            f"deviation ({plural(report.noise.freedom, 'repeat')}; {names(report.noise.trials)})."
        )
    yield f"- Architecture: {code(best.architecture.text)}"


def _fenced(drawing: str) -> str:
    """Returns a drawing as a fenced block that nothing inside it can end."""
    lines = ["".join(c for c in line if c.isprintable()) for line in drawing.splitlines()]
    fence = "`" * max(3, 1 + max((line.count("`") for line in lines), default=0))
    return "\n".join([fence, *lines, fence])


def _where(report: Report, best: Best) -> str:
    export = f"`vitruvius export {report.run.id} FOLDER` writes a module that builds the network"
    if best.weights is None:
        return "No weights were kept: there is nothing to export."
    number, path = best.weights
    return f"Weights: {code(path)} (T{number}). {export} and its weights."


def _finalist_table(report: Report) -> Iterator[str]:
    yield "| finalist | in the search | on fresh seeds | test |"
    yield "|---|---|---|---|"
    for finalist in report.finalists:
        cells = [
            f"{estimate.mean:.4g} [{interval(estimate.low, estimate.high)}] "
            f"({names(estimate.trials)})"
            if estimate
            else "-"
            for estimate in (finalist.search, finalist.confirmed, finalist.test)
        ]
        yield f"| {finalist.found.name} | {' | '.join(cells)} |"


def _curve(report: Report) -> Iterator[str]:
    curve = report.curve
    if not curve.points:
        yield "No trial is closed yet."
        return
    has_control = any(point.control for point in curve.points)
    lines = [
        "| trials | best so far | median best of as many uniform draws (95 % interval) |"
        + (" random arm |" if has_control else ""),
        "|---|---|---|" + ("---|" if has_control else ""),
    ]
    for point in curve.points:
        row = f"| {point.n} | {_held(point.agent)} | {band_text(point.random)} |"
        lines.append(row + (f" {_held(point.control)} |" if has_control else ""))
    yield "\n".join(lines)
    yield (
        f"The random column rests on {plural(len(curve.uniform), 'uniform draw')} of this run "
        f"({names(curve.uniform) or 'none'}); its interval is exact and open where so few draws "
        "say nothing."
    )
    if curve.share_high is not None:
        yield (
            f"As good as the search's best: {len(curve.reach)} of them"
            f"{f' ({names(curve.reach)})' if curve.reach else ''}; with 95 % confidence at most "
            f"{curve.share_high:.1%} of the space's draws are."
        )


def _held(pair: tuple[float, int] | None) -> str:
    return "-" if pair is None else f"{pair[0]:.4g} (T{pair[1]})"


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
