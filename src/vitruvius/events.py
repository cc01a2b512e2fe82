"""What a run tells its listener while it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LOG = "log.jsonl"  # in the folder of a run: every event as a line


class EventKind(StrEnum):
    """What happened. `data` holds, by kind, the keys named here."""

    STARTED = "started"  # run, space, task, metric (Metric), model, budget (Budget), workers
    ESTIMATED = "estimated"  # trials, wall_s, tokens, dollars (None: not known), rests_on
    RECALLED = "recalled"  # principles: version names; or source: run, trust
    REFUSED = "refused"  # what of other runs is not used here, and why: source or principle
    LEARNED = "learned"  # run, rows, principles: version names
    DECISION = "decision"  # author, tool, status
    TRIAL_STARTED = "trial_started"  # trial, origin
    TRIAL_DONE = "trial_done"  # trial, origin, status, value, train_s, spent (Spent),
    # architecture (its canonical JSON text), seed, params, curve
    REFLECTED = "reflected"  # trials, author, edits
    PRINCIPLE = "principle"  # principle, edit, standing, effect
    CUT = "cut"  # cut, principle, kept, undone (bool)
    CONFIRM = "confirm"  # finalists: trial names
    WISH = "wish"  # wish, author, status
    DONE = "done"  # run, status, report
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened: `text` is one plain sentence, `data` the same for programs."""

    kind: EventKind
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


UNTOLD = (
    EventKind.TRIAL_STARTED,
    EventKind.DECISION,
)  # at a terminal: each trial is told at its end

Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listens to nothing."""


Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Called with a costly decision: `decision`, `step`, `author`, `call`, `price` (`seconds`,
`tokens`, `dollars`; None where not known) and, if an edited call was wrong, the `problem` with it.

Returns `approved`: True, perhaps with another `call` to the same tool; False, with a `reason` that
the architect reads; or None, which leaves the question open and lets go of the run."""
