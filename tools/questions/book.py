"""A run opened to be questioned: its rows, the report that is made of them once, and answers.

Answers are kept as messages of a conversation, and read again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vitruvius.errors import ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Message
from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.report import Report, build_report
from vitruvius.tools.report.facts import CutReport, PrincipleReport
from vitruvius.tools.report.words import value_text
from vitruvius.tools.safe_text import names

JUDGED_APART = (Origin.CONTROL, Origin.CONFIRM)  # they measure the search and are no part of it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer in words, and what may be drawn beside it. Everything in it is plain text."""

    text: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    curve: Sequence[float] = ()  # the best value after each trial
    picture: str = ""  # an architecture

    @property
    def words(self) -> str:
        """The whole answer as text: for models, for notebooks, for a pipe."""
        table = [" | ".join(row) for row in (self.headers, *self.rows) if row]
        return "\n".join(part for part in (self.text, *table, self.picture) if part)

    @property
    def drawing(self) -> dict[str, Any]:
        """What may be drawn, as JSON data."""
        parts: dict[str, Any] = {
            "headers": list(self.headers),
            "rows": [list(row) for row in self.rows],
            "curve": list(self.curve),
            "picture": self.picture,
        }
        return {name: part for name, part in parts.items() if part}


@dataclass(frozen=True, kw_only=True)
class Book:
    """What an answer is read from. Holds no test figure: a run that can be steered shows none."""

    ledger: Ledger
    run_id: str
    space: SearchSpace
    task: Task
    calls: Mapping[str, int] = field(default_factory=dict)  # what the conversation itself cost

    @cached_property
    def report(self) -> Report:
        return build_report(self.ledger, self.run_id, self.space, self.task)

    @cached_property
    def trials(self) -> list[Trial]:
        return self.ledger.trials.of(self.run_id)

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials of the search with a score, best first; of equals the first."""
        sign = self.task.metric.sign
        done = [t for t in self.trials if t.value is not None and t.origin not in JUDGED_APART]
        return sorted(done, key=lambda t: (-sign * (t.value or 0.0), t.number))

    @cached_property
    def best_so_far(self) -> list[float]:
        """The best score after each trial of the search."""
        sign = self.task.metric.sign
        held: list[float] = []
        for trial in sorted(self.finished, key=lambda t: t.number):
            value = trial.value or 0.0
            held.append(value if not held else sign * max(sign * value, sign * held[-1]))
        return held

    def trial(self, name: str) -> Trial:
        """Returns a trial by its name, like T17.

        Raises:
            ToolError: there is none of that name.
        """
        number = _number(name, "T", "a trial, like T17")
        for trial in self.trials:
            if trial.number == number:
                return trial
        known = f"it has {names(t.number for t in self.trials)}" if self.trials else "it has none"
        raise ToolError(f"run {self.run_id} has no trial T{number}; {known}")

    def principle(self, name: str) -> PrincipleReport:
        """Returns a principle of the run by its name, like P3.

        Raises:
            ToolError: the run neither wrote nor recalled it.
        """
        number = _number(name.partition(".")[0], "P", "a principle, like P3")
        for principle in self.report.principles:
            if principle.version.principle == number:
                return principle
        known = ", ".join(f"P{p.version.principle}" for p in self.report.principles) or "none"
        raise ToolError(f"run {self.run_id} has no principle P{number}; it has {known}")

    def cut(self, name: str) -> CutReport:
        """Returns a cut by its number.

        Raises:
            ToolError: there is none of that number.
        """
        number = _number(name, "C", "a cut, like 2")
        for cut in self.report.cuts:
            if cut.cut.number == number:
                return cut
        known = ", ".join(str(c.cut.number) for c in self.report.cuts) or "none"
        raise ToolError(f"run {self.run_id} has no cut {number}; it has {known}")

    def of(self, architecture: Architecture) -> list[Trial]:
        """Returns the trials of an architecture."""
        return [trial for trial in self.trials if trial.architecture == architecture]

    def value(self, trial: Trial) -> str:
        """Returns a trial's score with its unit, or what became of it."""
        if trial.value is None:
            return trial.status.value
        return value_text(trial.value, self.task.metric)


def _number(name: str, letter: str, wanted: str) -> int:
    found = re.fullmatch(rf"(?:{letter})?(\d+)", name.strip(), re.IGNORECASE)
    if found is None:
        raise ToolError(f"expected {wanted}, got {name!r:.80}")
    return int(found[1])


def words_of(message: Message) -> str:
    """Returns a message whole, as text: what was said, and the table or drawing beside it."""
    drawing = message.data.get("drawing") or {}
    return Answer(
        text=message.text,
        headers=drawing.get("headers", ()),
        rows=drawing.get("rows", ()),
        picture=drawing.get("picture", ""),
    ).words
