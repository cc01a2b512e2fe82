"""The search curve on the page: the best so far beside what random draws would give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitruvius.memory.records import Origin, Trial
from vitruvius.tools.report.curve import AGENT, points_of
from vitruvius.tools.report.facts import Point, Report
from vitruvius.tools.report.page.figures import Scale
from vitruvius.tools.report.page.marks import Marks
from vitruvius.tools.report.words import value_text

MOST_STEPS = 60  # places at which the random band is drawn
FIRST_COUNTED = 3  # trials after which the best so far counts for the height of the picture


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Places on the picture: the logarithm of the number of trials, and quality upwards."""

    last: int
    tall: Scale  # of direction-corrected values
    sign: float

    def x(self, n: float) -> float:
        return 100 * math.log(max(1.0, n)) / math.log(max(2, self.last))

    def y(self, value: float) -> float:
        return 100 - self.tall.at(self.sign * value)


def search_curve(report: Report, marks: Marks) -> Markup:
    """Returns the figure; every dot is a trial and leads to its row."""
    trials = [t for t in report.trials if t.origin in AGENT and not t.status.is_open]
    if not report.curve.rises:
        return Markup("")
    frame = _frame(report, len(trials))
    points = points_of(report.trials, report.metric, _steps(len(trials)))
    lines = Markup("").join(
        [
            _band(frame, points),
            _median(frame, points),
            _stairs(frame, report.curve.control_rises, "control", _arm(report)),
            _stairs(frame, report.curve.rises, "search", len(trials)),
        ]
    )
    return Markup(
        '<div class="plot"><svg viewBox="0 0 100 100" preserveAspectRatio="none" '
        'aria-hidden="true">{}{}</svg>{}{}{}</div>'
    ).format(
        _grid(frame),
        lines,
        Markup("").join(_dots(frame, trials, marks)),
        Markup("").join(_ticks(frame, report)),
        Markup("").join(_labels(frame, report)),
    )


def _frame(report: Report, count: int) -> _Frame:
    sign, curve = report.metric.sign, report.curve
    held = [sign * v for n, v, _ in curve.rises if n >= FIRST_COUNTED]
    held += [sign * v for n, v, _ in curve.control_rises if n >= FIRST_COUNTED]
    held += [sign * curve.rises[-1][1]]
    medians = [p.random.median for p in curve.points if p.random and p.n >= FIRST_COUNTED]
    held += [sign * median for median in medians if median is not None]
    early = [sign * v for n, v, _ in curve.rises if n < FIRST_COUNTED]
    low, high = min(held), max(held)
    room = (high - low) or abs(high) * 0.02 or 1.0
    low = max(min([low, *early]), low - 0.8 * room)
    return _Frame(
        last=max(2, count),
        tall=Scale(low=low - 0.12 * room, high=high + 0.16 * room),
        sign=sign,
    )


def _steps(count: int) -> list[int]:
    """Returns counts of trials, evenly spread on a logarithmic axis."""
    if count <= MOST_STEPS:
        return list(range(1, count + 1))
    found = {round(count ** (i / (MOST_STEPS - 1))) for i in range(MOST_STEPS)}
    return sorted(found | {1, count})


def _arm(report: Report) -> int:
    mine = [t for t in report.trials if t.origin == Origin.CONTROL and not t.status.is_open]
    return len(mine)


def _band(frame: _Frame, points: Sequence[Point]) -> Markup:
    """Returns the interval of random search; an open side reaches the edge."""
    known = [(p.n, p.random) for p in points if p.random is not None]
    known = [(n, r) for n, r in known if r.low is not None or r.high is not None]
    if len(known) < 2:
        return Markup("")
    better = [r.high if frame.sign > 0 else r.low for _, r in known]
    worse = [r.low if frame.sign > 0 else r.high for _, r in known]
    xs = [frame.x(n) for n, _ in known]
    upper = [0.0 if value is None else frame.y(value) for value in better]
    lower = [100.0 if value is None else frame.y(value) for value in worse]
    outline = [*zip(xs, upper, strict=True), *reversed(list(zip(xs, lower, strict=True)))]
    told = " ".join(f"{x:.2f},{y:.2f}" for x, y in outline)
    return Markup(f'<polygon class="random-band" points="{told}"/>')


def _median(frame: _Frame, points: Sequence[Point]) -> Markup:
    known = [(p.n, p.random.median) for p in points if p.random and p.random.median is not None]
    told = " ".join(f"{frame.x(n):.2f},{frame.y(v):.2f}" for n, v in known)
    return Markup(f'<polyline class="random" points="{told}"/>') if known else Markup("")


def _stairs(
    frame: _Frame, rises: Sequence[tuple[int, float, int]], kind: str, count: int
) -> Markup:
    if not rises:
        return Markup("")
    n, value, _ = rises[0]
    path = f"M{frame.x(n):.2f} {frame.y(value):.2f}"
    for n, value, _ in rises[1:]:
        path += f"H{frame.x(n):.2f}V{frame.y(value):.2f}"
    return Markup(f'<path class="{kind}" d="{path}H{frame.x(min(count, frame.last)):.2f}"/>')


def _dots(frame: _Frame, trials: Sequence[Trial], marks: Marks) -> Iterator[Markup]:
    """Yields a dot for each trial; one far below the picture is a mark at its edge."""
    for n, trial in enumerate(trials, start=1):
        if trial.value is None or trial.number not in marks.shown:
            continue
        y = frame.y(trial.value)
        kind = "low" if y >= 100 else "uniform" if trial.origin == Origin.EXPLORE else "chosen"
        yield Markup(
            f'<a class="point {kind}" href="#T{trial.number}" title="{trial.name}: '
            f'{trial.value:.4g}" style="left:{frame.x(n):.2f}%;top:{y:.2f}%"></a>'
        )


def _grid(frame: _Frame) -> Markup:
    return Markup("").join(
        Markup(f'<path class="grid" d="M0 {frame.y(value):.2f}H100"/>') for value in _values(frame)
    )


def _values(frame: _Frame) -> list[float]:
    """Returns three to six round values for the axis."""
    low, high = sorted((frame.sign * frame.tall.low, frame.sign * frame.tall.high))
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw)
    first = math.ceil(low / step)
    return [i * step for i in range(first, first + 9) if i * step <= high]


def _ticks(frame: _Frame, report: Report) -> Iterator[Markup]:
    for value in _values(frame):
        yield Markup('<span class="y" style="top:{:.2f}%">{}</span>').format(
            frame.y(value), f"{value:.6g}"
        )
    decades = [m * 10**p for p in range(5) for m in (1, 2, 5) if m * 10**p <= frame.last]
    for n in decades:
        yield Markup(f'<span class="x" style="left:{frame.x(n):.2f}%">{n}</span>')


def _labels(frame: _Frame, report: Report) -> Iterator[Markup]:
    """Yields the words at the end of the search's own line."""
    _, value, number = report.curve.rises[-1]
    yield Markup('<span class="end" style="top:{:.2f}%">{}, T{}</span>').format(
        frame.y(value), value_text(value, report.metric), number
    )
