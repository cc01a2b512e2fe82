"""What every rendering says alike: the question, the answer and numbers in words."""

from __future__ import annotations

from collections.abc import Iterator

from vitruvius.budget import budget_text
from vitruvius.memory.records import Standing
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import Band, Baseline, Estimate, Report

OPEN = "?"

COMPARED = {
    "random arm": "the best of the random arm",
    "uniform draws": "the best of this run's uniform draws",
    "typical draw": "a typical network of the space, the middle one of the uniform draws",
}


def value_text(value: float, metric: Metric) -> str:
    """Returns a value with its unit: `97.12 %`."""
    return f"{value:.4g} {metric.unit}".rstrip()


def interval(low: float | None, high: float | None) -> str:
    """Returns an interval in words; a side that is not known is left open."""
    if low is None and high is None:
        return "no interval"
    if high is None:
        return f"at least {low:.4g}"
    if low is None:
        return f"at most {high:.4g}"
    return f"{low:.4g} to {high:.4g}"


def estimate_text(estimate: Estimate, metric: Metric) -> str:
    """Returns a mean with its interval: `97.1 % (95 % interval 96.4 to 97.8)`."""
    text = value_text(estimate.mean, metric)
    if estimate.low is None:
        return f"{text} (no interval: too few repeats)"
    return f"{text} (95 % interval {interval(estimate.low, estimate.high)})"


def band_text(band: Band | None) -> str:
    """Returns the random-search column of the curve."""
    if band is None:
        return "-"
    median = OPEN if band.median is None else f"{band.median:.4g}"
    return f"{median} ({interval(band.low, band.high)})"


def seconds(amount: float) -> str:
    """Returns a time as people say it: `45 s`, `2 min 3 s`, `1 h 5 min`."""
    if amount < 60:
        return f"{amount:.3g} s"
    whole = round(amount)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, noun: str) -> str:
    """Returns `1 trial`, `2 trials`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def question(report: Report) -> str:
    """Returns what the run was to find out."""
    run, metric = report.run, report.metric
    most = "highest" if metric.direction == "max" else "lowest"
    limits = budget_text(run.budget)
    within = f" within {limits}" if limits else ""
    wanted = f"the {most} {metric.name} on {run.task_name}"
    return f"Which network of {run.space_name} has {wanted}{within}?"


def judged(report: Report) -> Estimate | None:
    """Returns the number that the answer is known by: on fresh seeds, else in the search."""
    if report.best is None:
        return None
    return report.best.finalist.confirmed or report.best.finalist.search


def standing_of(report: Report) -> str:
    """Returns how sure the answer's number is."""
    if report.best is None:
        return "no trial finished with a score"
    answer = report.best.finalist
    if answer.confirmed is not None:
        return f"mean of {plural(len(answer.confirmed.trials), 'fresh seed')}"
    return "not confirmed on fresh seeds" if report.is_noisy else "the task repeats exactly"


def compared(baseline: Baseline, report: Report) -> Iterator[str]:
    """Yields how the answer compares with the baseline, and what noise leaves of it."""
    side = "better" if baseline.gap >= 0 else "worse"
    gap = points(abs(baseline.gap), report.metric)
    yield f"{gap} {side} than {COMPARED[baseline.kind]}"
    if baseline.half is not None:
        inside = abs(baseline.gap) < baseline.half
        yield (
            f"noise between seeds alone moves that gap by {points(baseline.half, report.metric)} "
            f"either way (95 %){': this one lies within it' if inside else ''}"
        )


def points(difference: float, metric: Metric) -> str:
    """Returns a difference with its unit; of percentages it is points.

    Example:
        >>> points(1.25, Metric(name="accuracy", unit="%"))
        '1.25 points'
    """
    unit = "points" if metric.unit == "%" else metric.unit
    return f"{difference:.3g} {unit}".rstrip()


def differences(report: Report) -> list[tuple[str, str, str]]:
    """Returns the slots in which answer and baseline differ: name, the answer's, the other's."""
    if report.best is None or report.baseline is None:
        return []
    mine = report.best.finalist.architecture.spec
    other = report.baseline.found.architecture.spec
    if not (isinstance(mine, dict) and isinstance(other, dict)) or mine.keys() != other.keys():
        return []
    flat = [name for name in mine if isinstance(mine[name], str | int | float)]
    if len(flat) < len(mine):
        return []
    return [(n, str(mine[n]), str(other[n])) for n in flat if mine[n] != other[n]]


def learned_in_one_line(report: Report) -> str:
    """Returns how many principles stand, and how much of the space is left."""
    supported = [p for p in report.principles if p.standing == Standing.SUPPORTED]
    cuts = [audit for audit in report.cuts if audit.cut.in_force]
    said = f"{plural(len(supported), 'principle')} supported by the trials"
    return f"{said}; {plural(len(cuts), 'cut')} in force" if cuts else said
