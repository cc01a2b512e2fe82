"""The page's pictures of numbers: lines that stretch with the page, words that do not.

Marks are SVG without a fixed shape (`preserveAspectRatio="none"`, strokes that do not scale) under
labels of plain HTML, so that a chart is read as well on a telephone as on paper. No plotting
library: the page is written at the end of every run, and again whenever somebody looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vitruvius.tools.report.facts import PrincipleReport

HUES = {"good": "blue", "bad": "red", "open": "grey"}


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
