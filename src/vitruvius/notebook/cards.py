"""What a notebook shows of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vitruvius.budget import budget_text
from vitruvius.errors import VitruviusError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run, RunKind, Spent, Standing
from vitruvius.notebook.html import bar, card, drawn, line, picture, table
from vitruvius.tools.report.words import estimate_text, plural, seconds, value_text

if TYPE_CHECKING:
    from vitruvius.run.facts import BestNetwork, RunFacts
    from vitruvius.spaces.space import SearchSpace
    from vitruvius.tasks.task import Metric
    from vitruvius.tools.report.facts import Finalist, Report

PRINCIPLES = 5  # of the best supported


def run_card(run: RunFacts) -> str:
    """Returns a run as HTML: where it stands, its best network, its curve, what it learned."""
    record = run.record
    with Ledger.open(run.home) as ledger:
        spent = ledger.steps.spent(run.id)
    head = [
        line(f"Run {run.id}: {record.task_name} on {record.space_name}, {record.status}", "muted")
    ]
    if record.kind != RunKind.SEARCH:
        return card(*head, line(f"It stands for what was learned elsewhere ({record.kind})."))
    try:
        report = run.report()
    except VitruviusError as error:  # its space or task was an object, or is no longer there
        return card(*head, line(_account(record, spent), "muted"), line(str(error)))
    found = line("no score yet", "big")
    if report.best is not None:
        found = _found(run.space, report.best.finalist, report.metric, report.is_noisy)
    parts = [found, bar(_share(record, spent)), line(_account(record, spent), "muted")]
    return card(*head, *parts, _curve(report), _learned(report))


def best_card(best: BestNetwork) -> str:
    """Returns the best network as HTML."""
    head = line(f"Best network of run {best.run_id}", "muted")
    return card(head, _found(best.space, best.facts.finalist, best.task.metric, best.task.is_noisy))


def _found(space: SearchSpace, best: Finalist, metric: Metric, is_noisy: bool) -> str:
    judged = best.confirmed or best.search
    found = [f"found as {best.found.name}"]
    if best.confirmed is not None:
        value = estimate_text(best.confirmed, metric)
        found.append(f"mean of {plural(len(best.confirmed.trials), 'fresh seed')}")
    else:
        value = value_text(judged.mean, metric) if judged is not None else "?"
        found.append("not confirmed" if is_noisy else "the task repeats exactly")
    if best.found.params is not None:
        found.append(f"{best.found.params:,} parameters")
    return (
        line(f"{metric.name} {value}", "big")
        + line(", ".join(found), "muted")
        + drawn(space, best.architecture)
    )


def _curve(report: Report) -> str:
    from vitruvius.tools.plots import plot_search_curve, to_svg

    if report.best is None:
        return ""
    svg = to_svg(partial(plot_search_curve, report), height=2.9, name=f"run-{report.run.id}-")
    return picture(svg, 680)


def _learned(report: Report) -> str:
    from vitruvius.tools.report.learned import effect_text

    held = [p for p in report.principles if p.standing == Standing.SUPPORTED]
    rows = [
        (p.version.name, p.version.statement, effect_text(p, report.metric))
        for p in held[:PRINCIPLES]
    ]
    found = ""
    if rows:
        more = f"; the first {PRINCIPLES} of them:" if len(held) > PRINCIPLES else ":"
        count = plural(len(held), "principle")
        found = line(f"Supported by the trials: {count}{more}", "muted") + table(rows)
    in_force = sum(audit.cut.in_force for audit in report.cuts)
    if in_force:
        left = f"{report.region_left:.1%} of the space is left"
        found += line(f"{plural(in_force, 'cut')} in force: {left}", "muted")
    if report.distrust:
        found += line(f"To distrust: {report.distrust[0]}", "muted")
    return found


def _share(record: Run, spent: Spent) -> float:
    """Returns the used share of the tightest limit."""
    shares = [  # the first limit that is reached ends the run, so the fullest is what counts
        (getattr(spent, name) or 0) / limit
        for name in ("trials", "wall_s", "train_s", "tokens", "dollars")
        if (limit := getattr(record.budget, name)) is not None
    ]
    return max(shares, default=0.0)


def _account(record: Run, spent: Spent) -> str:
    used = [plural(spent.trials, "trial"), seconds(spent.wall_s)]
    if spent.tokens:
        used.append(f"{spent.tokens:,} tokens, ${spent.dollars:.2f}")
    return f"spent {', '.join(used)} of {budget_text(record.budget)}"
