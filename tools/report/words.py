"""Numbers of a report in words: values with unit, intervals, times."""

from __future__ import annotations

from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import Band, Estimate

OPEN = "?"


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
