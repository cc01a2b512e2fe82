"""The page's pictures of numbers, the search curve among them.

Lines stretch with the page, words do not. Marks are SVG without a fixed shape
(`preserveAspectRatio="none"`, strokes that do not scale) under labels of plain HTML, so that a
chart is read as well on a telephone as on paper. No plotting library: the page is written at the
end of every run, and again whenever somebody looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitruvius.memory.records import Origin, Trial
from vitruvius.tools.report.facts import Point, PrincipleReport, Report
from vitruvius.tools.report.page.marks import Marks
from vitruvius.tools.report.statistics import AGENT, points_of
from vitruvius.tools.report.words import value_text

HUES = {"good": "blue", "bad": "red", "open": "grey"}

MOST_STEPS = 60  # places at which the random band is drawn
FIRST_COUNTED = 3  # trials after which the best so far counts for the height of the picture


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A stretch of numbers and where each lies on it, from 0 to 100."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Returns the place of a value; those beyond an end lie at it."""
        if self.high <= self.low:
            return 50.0
        return 100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def scale_of(values: Sequence[float], *, around: float | None = 0.0, margin: float = 0.06) -> Scale:
    """Returns a scale that holds all values with some room, and `around` too."""
    held = [*values, *([] if around is None else [around])] or [0.0, 1.0]
    low, high = min(held), max(held)
    room = margin * (high - low or 1.0)
    return Scale(low=low - room, high=high + room)


def interval_bar(
    middle: float, low: float, high: float, scale: Scale, *, mark: float | None = None
) -> Markup:
    """Returns a dot with its interval on a scale with a line at zero; decoration beside numbers.

    Args:
        middle: the estimate.
        low: end of its interval.
        high: end of its interval.
        scale: shared by the bars of a table.
        mark: a further value to hold it against, drawn as a dashed line.
    """
    hue = HUES["good"] if low > 0 else HUES["bad"] if high < 0 else HUES["open"]
    zero, start, end, dot = (scale.at(v) for v in (0.0, low, high, middle))
    dashed = "" if mark is None else _upright(scale.at(mark), "mark")
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">'
        f"{_upright(zero, 'zero')}{dashed}"
        f'<path class="range" style="stroke:var(--{hue})" d="M{start:.2f} 10H{end:.2f}"/>'
        f'<path class="dot" style="stroke:var(--{hue})" d="M{dot:.2f} 10h0"/></svg>'
    )


def share_bar(share: float, hue: str = "blue") -> Markup:
    """Returns a bar that is filled to a share from 0 to 1."""
    filled = 100 * min(1.0, max(0.0, share))
    return Markup(
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="10" style="fill:var(--grid)"/>'
        f'<rect width="{filled:.2f}" height="10" style="fill:var(--{hue})"/></svg>'
    )


def look_chart(principle: PrincipleReport, last: int) -> Markup:
    """Returns how the effect of a principle was measured from trial to trial, with its interval.

    Versions follow each other; a dashed line stands where one was written.
    """
    looks = principle.looks
    if not looks:
        return Markup("")
    values = [end for look in looks for end in (look.low, look.high)]
    tall, wide = scale_of(values), Scale(low=0, high=max(last, looks[-1].up_to))
    parts = [_flat(100 - tall.at(0.0))]
    for version in dict.fromkeys(look.version for look in looks):
        mine = [look for look in looks if look.version == version]
        xs = [wide.at(look.up_to) for look in mine]
        if len(mine) == 1:
            right = min(100.0, xs[0] + 1.2)
            xs = [right - 2.4, right]
            mine = mine * 2
        ups, downs, middles = (
            [100 - tall.at(getattr(look, name)) for look in mine]
            for name in ("high", "low", "effect")
        )
        outline = [*zip(xs, ups, strict=True), *reversed(list(zip(xs, downs, strict=True)))]
        parts.append(f'<polygon class="band" points="{_points(outline)}"/>')
        middle = _points(list(zip(xs, middles, strict=True)))
        parts.append(f'<polyline class="line" points="{middle}"/>')
    parts += [_upright(wide.at(n), "mark", 100) for n in principle.written[1:] if n]
    return Markup(
        '<svg class="looks" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(parts)}</svg>"
    )


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in pairs)


def _upright(x: float, kind: str, height: float = 20) -> str:
    return f'<path class="{kind}" d="M{x:.2f} 0V{height:g}"/>'


def _flat(y: float) -> str:
    return f'<path class="zero" d="M0 {y:.2f}H100"/>'


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
