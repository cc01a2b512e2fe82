"""An estimate as a sentence, and as an event."""

from __future__ import annotations

from vitruvius.events import Event, EventKind
from vitruvius.graphs.drive.estimating import UNKNOWN, Estimate
from vitruvius.tools.report.words import plural, seconds


def estimate_words(found: Estimate) -> str:
    """Returns the estimate in one sentence.

    Example:
        >>> print(estimate_words(Estimate(trials=48, wall_s=160.0, tokens=0, dollars=0.0,
        ...     ends_by="trials", rests_on="its own first 4 trials")))
        estimate: about 48 trials, 2 min 40 s, no tokens; from its own first 4 trials
    """
    is_known = found.rests_on != UNKNOWN
    parts = ["trials: " + UNKNOWN]
    if found.trials is not None:
        parts = [f"{'about' if is_known else 'at most'} {plural(found.trials, 'trial')}"]
    if found.ends_by not in (None, "trials"):
        parts[0] += f" (the limit on {found.ends_by} ends it)"
    parts.append(_time(found, is_known))
    if found.tokens == 0:
        parts.append("no tokens")
    elif found.tokens is None:
        parts.append(f"tokens and dollars {UNKNOWN}")
    else:
        parts.append(f"{found.tokens:,} tokens")
        parts.append("dollars not known" if found.dollars is None else f"${found.dollars:.2f}")
    return f"estimate: {', '.join(parts)}" + (f"; from {found.rests_on}" if is_known else "")


def estimate_event(found: Estimate) -> Event:
    """Returns the estimate as an event."""
    return Event(kind=EventKind.ESTIMATED, text=estimate_words(found), data=found.data)


def _time(found: Estimate, is_known: bool) -> str:
    if found.wall_s is None:
        return f"time {UNKNOWN}"
    return ("" if is_known else "at most ") + seconds(found.wall_s)
