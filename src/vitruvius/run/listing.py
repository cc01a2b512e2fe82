"""The runs of a home in a line each: for the board's first page, and for `vt.runs()`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vitruvius.budget import budget_text
from vitruvius.memory.ledger.ledger import FILE, Ledger
from vitruvius.memory.ledger.trials import Tally
from vitruvius.memory.records import Run, RunKind
from vitruvius.run.handle import SearchRun

NO_TRIALS = Tally(trials=0, closed=0, least=None, most=None)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A run in a line. `best` is of validation data, whether it was confirmed or not."""

    id: str
    kind: str
    status: str
    task: str
    space: str
    budget: str
    trials: int
    limit: int | None  # of trials
    best: str | None
    started: str  # UTC

    def __str__(self) -> str:
        status = self.status if self.kind == RunKind.SEARCH else f"{self.status} ({self.kind})"
        best = f", best {self.best}" if self.best else ""
        trials = f"{self.trials} trial{'' if self.trials == 1 else 's'}"
        return f"{self.id}: {self.task} on {self.space}, {status}, {trials}{best}"


def listed(home: Path) -> list[Listed]:
    """Returns the runs of a home, the latest first; none where it has no ledger."""
    if not (home / FILE).exists():  # opening it would make one
        return []
    with Ledger.open(home) as ledger:
        tallies = ledger.trials.tallies()
        return [_line(run, tallies.get(run.id, NO_TRIALS)) for run in ledger.runs.all()]


def _line(run: Run, tally: Tally) -> Listed:
    metric = run.metric or {}
    best = tally.least if metric.get("direction") == "min" else tally.most
    return Listed(
        id=run.id,
        kind=run.kind.value,
        status=run.status.value,
        task=run.task_name,
        space=run.space_name,
        budget=budget_text(run.budget) if run.kind == RunKind.SEARCH else "",
        trials=tally.closed,
        limit=run.budget.trials,
        best=None if best is None else f"{best:.4g} {metric.get('unit', '')}".strip(),
        started=f"{run.created:%Y-%m-%d %H:%M}",
    )


class RunList(list[SearchRun]):
    """Handles of runs, shown in a line each as their ledger stands when they are shown."""

    def __init__(self, home: Path) -> None:
        super().__init__(SearchRun(line.id, home) for line in listed(home))
        self._home = home

    def _lines(self) -> Iterable[Listed]:
        kept = {run.id for run in self}
        return (line for line in listed(self._home) if line.id in kept)

    def __repr__(self) -> str:
        return "\n".join(map(str, self._lines())) or f"no runs in {self._home}"

    def _repr_html_(self) -> str:
        from vitruvius.notebook.html import card, line, table

        head = ("run", "status", "task", "space", "trials", "best", "started (UTC)")
        rows = [
            (one.id, one.status, one.task, one.space, str(one.trials), one.best or "", one.started)
            for one in self._lines()
        ]
        return card(table(rows, head=head) if rows else line(f"No runs in {self._home}."))
