"""What a listener has heard of a run so far: where it stands, without a look into the ledger."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from vitruvius.budget import Budget
from vitruvius.events import UNTOLD, Event, EventKind
from vitruvius.memory.records import Spent, Trial
from vitruvius.tasks.task import Metric
from vitruvius.tools.safe_text import clean

LINES = 8  # of what happened last
_UNITS = (("trials", "trials"), ("wall_s", "s"), ("train_s", "s of training"),
          ("tokens", "tokens"), ("dollars", "$"))  # fmt: skip


@dataclass(kw_only=True)
class Progress:
    """A run as its events tell it; `take` takes in the next."""

    run: str | None = None
    earlier: Sequence[Trial] = ()  # of the run before it was taken up again
    started: float = field(default_factory=time.monotonic)
    metric: Metric | None = None
    limits: Budget | None = None
    spent: Spent | None = None
    best: tuple[float, str] | None = None
    course: list[float] = field(default_factory=list)  # the best so far, after each trial
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    longest: int = 200  # characters of a line
    status: str = "starting"

    def take(self, event: Event) -> str | None:
        """Takes in an event; returns a line for it if people care."""
        data, before = event.data, self.best
        self.spent = data.get("spent", self.spent)
        if event.kind == EventKind.STARTED:
            self._start(event)
        elif event.kind == EventKind.TRIAL_DONE:
            self._consider(data.get("value"), str(data.get("trial", "?")))
        elif event.kind == EventKind.DONE:
            self.status = str(data.get("status", "done"))
        if event.kind in UNTOLD:
            return None
        is_best = event.kind == EventKind.TRIAL_DONE and self.best != before
        line = clean(event.text, self.longest) + (" (best so far)" if is_best else "")
        self.lines.append(f"warning: {line}" if event.kind == EventKind.WARNING else line)
        return self.lines[-1]

    def _start(self, event: Event) -> None:
        data = event.data
        if data.get("run", self.run) != self.run:
            self.best, self.course = None, []  # of short trainings: no match for full ones
        self.run, self.status = data.get("run", self.run), "running"
        self.metric, self.limits = data.get("metric", self.metric), data.get("budget")
        for trial in self.earlier:
            if trial.run_id == self.run and not trial.status.is_open:
                self._consider(trial.value, trial.name)

    def _consider(self, value: float | None, trial: str) -> None:
        sign = self.metric.sign if self.metric is not None else 1.0
        if value is not None and (self.best is None or sign * value > sign * self.best[0]):
            self.best = (value, trial)
        if self.best is not None:
            self.course.append(self.best[0])

    def used(self, between: str = " of ") -> tuple[float, str]:
        """Returns the used share of the tightest limit, and the account in words."""
        if self.limits is None or self.spent is None:
            return 0.0, ""
        share, words = 0.0, []
        for name, unit in _UNITS:
            limit, used = getattr(self.limits, name), getattr(self.spent, name) or 0
            if limit is not None:
                share = max(share, min(1.0, used / limit))
                words.append(f"{used:.4g}{between}{limit:.4g} {unit}")
        return share, ", ".join(words)

    def clock(self) -> str:
        """Returns the time since the listener was made: `05:31`."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return f"{minutes:02d}:{seconds:02d}"

    def best_words(self) -> str:
        """Returns the best score so far with its trial."""
        if self.best is None:
            return "no score yet"
        unit = self.metric.unit if self.metric is not None else ""
        return f"best {self.best[0]:.4g} {unit} ({self.best[1]})".replace("  ", " ")
