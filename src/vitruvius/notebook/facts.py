"""A run in a notebook: its trials, principles and plots, each shown when a cell ends on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.errors import ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.notebook.plots import Plots
from vitruvius.run.facts import RunFacts
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture

if TYPE_CHECKING:
    from vitruvius.notebook.values import Drawing, PrincipleView, TrialView


class RunShown(RunFacts):
    """What a run found, as things that a notebook can show."""

    @property
    def plot(self) -> Plots:
        """The plots, which return matplotlib axes: `run.plot.search_curve()`."""
        return Plots(self)

    @property
    def region(self) -> Region:
        """What is left of the space after the cuts in force."""
        from vitruvius.notebook.values import ShownRegion

        left = super().region
        return ShownRegion(left.space, left.cuts)

    def draw(self, architecture: Architecture | str) -> Drawing:
        """Returns an architecture of the run's space, drawn.

        Raises:
            ToolError: a text that the space cannot read.
        """
        from vitruvius.notebook.values import Drawing

        if isinstance(architecture, str):
            architecture = self.space.parse(architecture)
        return Drawing(self.space, architecture)

    def trial(self, name: str | int) -> TrialView:
        """Returns a trial by its name or number: `run.trial("T17")`.

        Raises:
            ToolError: the run has no such trial.
        """
        from vitruvius.notebook.values import trial_view

        number = _number(name, "T", "trial")
        with Ledger.open(self.home) as ledger:
            found = [trial for trial in ledger.trials.of(self.id) if trial.number == number]
            decisions = {decision.id: decision for decision in ledger.steps.decisions(self.id)}
        if not found:
            raise ToolError(f"run {self.id} has no trial T{number}")
        (trial,) = found
        made = decisions.get(trial.decision_id) if trial.decision_id is not None else None
        return trial_view(trial, self.space, self.task.metric, made)

    def principle(self, name: str | int) -> PrincipleView:
        """Returns a principle of the run by its name or number, given up or not.

        Raises:
            ToolError: the run has neither written nor recalled it.
        """
        from vitruvius.notebook.values import PrincipleView

        number = _number(name, "P", "principle")
        report = self.facts()
        for facts in report.principles:
            if facts.version.principle == number:
                return PrincipleView(facts, report)
        known = ", ".join(f"P{p.version.principle}" for p in report.principles) or "none yet"
        raise ToolError(f"run {self.id} has no principle P{number}; it has: {known}")

    def _repr_html_(self) -> str:
        from vitruvius.notebook.cards import run_card

        return run_card(self)


def _number(name: str | int, letter: str, what: str) -> int:
    """Returns the number in `T17`, `P7.3` or 17."""
    digits = str(name).strip().upper().removeprefix(letter).split(".")[0]
    if not digits.isdecimal():
        raise ToolError(f"expected a {what} such as {letter}3, got {name!r}")
    return int(digits)
