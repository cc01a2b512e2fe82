"""A run in a notebook: its trials, principles and plots, each shown when a cell ends on it.

What draws is imported when something is drawn: a script that only searches needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vitruvius.errors import ToolError
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.facts import RunFacts
from vitruvius.spaces.space import Architecture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vitruvius.notebook.values import Drawing, PrincipleView, ShownRegion, TrialView
    from vitruvius.tools.plots import Palette


@dataclass(frozen=True)
class RunShown:
    """What a run found, as things that a notebook can show."""

    facts: RunFacts

    @property
    def plot(self) -> Plots:
        """The plots of the run."""
        return Plots(self.facts)

    def region(self) -> ShownRegion:
        """Returns what is left of the space after the cuts in force."""
        from vitruvius.notebook.values import ShownRegion

        left = self.facts.region()
        return ShownRegion(left.space, left.cuts)

    def draw(self, architecture: Architecture | str) -> Drawing:
        """Returns an architecture of the run's space, drawn.

        Raises:
            ToolError: a text that the space cannot read.
        """
        from vitruvius.notebook.values import Drawing

        if isinstance(architecture, str):
            architecture = self.facts.space.parse(architecture)
        return Drawing(self.facts.space, architecture)

    def trial(self, name: str | int) -> TrialView:
        """Returns a trial by its name or number: `run.trial("T17")`.

        Raises:
            ToolError: the run has no such trial.
        """
        from vitruvius.notebook.values import trial_view

        number = _number(name, "T", "trial")
        with Ledger.open(self.facts.home) as ledger:
            found = [trial for trial in ledger.trials.of(self.facts.id) if trial.number == number]
            decisions = {
                decision.id: decision for decision in ledger.steps.decisions(self.facts.id)
            }
        if not found:
            raise ToolError(f"run {self.facts.id} has no trial T{number}")
        (trial,) = found
        made = decisions.get(trial.decision_id) if trial.decision_id is not None else None
        return trial_view(trial, self.facts.space, self.facts.task.metric, made)

    def principle(self, name: str | int) -> PrincipleView:
        """Returns a principle of the run by its name or number, given up or not.

        Raises:
            ToolError: the run has neither written nor recalled it.
        """
        from vitruvius.notebook.values import PrincipleView

        number = _number(name, "P", "principle")
        report = self.facts.report()
        for known in report.principles:
            if known.version.principle == number:
                return PrincipleView(known, report)
        names = ", ".join(f"P{p.version.principle}" for p in report.principles) or "none yet"
        raise ToolError(f"run {self.facts.id} has no principle P{number}; it has: {names}")

    def card(self) -> str:
        """Returns the run as HTML."""
        from vitruvius.notebook.cards import run_card

        return run_card(self.facts)


@dataclass(frozen=True)
class Plots:
    """Each draws the run as its ledger stands, into given axes or new ones, and returns them."""

    run: RunFacts

    def search_curve(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The best so far, beside random search and the random arm."""
        from vitruvius.tools.plots import plot_search_curve

        return plot_search_curve(self.run.report(), ax, palette=palette)

    def effects(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The effect of each principle with its interval."""
        from vitruvius.tools.plots import plot_effects

        return plot_effects(self.run.report(), ax, palette=palette)

    def calibration(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The proxies held against the parameter count."""
        from vitruvius.tools.plots import plot_calibration

        return plot_calibration(self.run.report(), ax, palette=palette)

    def pareto(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """The metric against the parameters, and the front."""
        from vitruvius.tools.plots import plot_pareto

        return plot_pareto(self.run.report(), ax, palette=palette)

    def lineage(self, ax: Axes | None = None, *, palette: Palette | None = None) -> Axes:
        """What became of each principle over the trials."""
        from vitruvius.tools.plots import plot_lineage

        return plot_lineage(self.run.report(), ax, palette=palette)


def _number(name: str | int, letter: str, what: str) -> int:
    """Returns the number in `T17`, `P7.3` or 17."""
    digits = str(name).strip().upper().removeprefix(letter).split(".")[0]
    if not digits.isdecimal():
        raise ToolError(f"expected a {what} such as {letter}3, got {name!r}")
    return int(digits)
