"""Looking at a run: what it found, read from the ledger as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.evidence.region_of_run import region_of
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run
from vitruvius.run.best import BestNetwork
from vitruvius.spaces.region import Region
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from vitruvius.tools.export.files import Exported
    from vitruvius.tools.report.facts import Report


class RunFacts:
    """One run of the ledger: what it found."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
        api_key: str | None = None,
    ) -> None:
        self.id, self.home = run_id, home
        self._space, self._task, self._api_key = space, task, api_key

    def __repr__(self) -> str:
        record = self.record
        return f"SearchRun({self.id}: {record.task_name} on {record.space_name}, {record.status})"

    @property
    def record(self) -> Run:
        """The run's row as it stands."""
        with Ledger.open(self.home) as ledger:
            return ledger.runs.get(self.id)

    @property
    def space(self) -> SearchSpace:
        """The space, made again from its reference where it was not given."""
        if self._space is None:
            self._space = load_space(self._reference("space"))
        return self._space

    @property
    def task(self) -> Task:
        """The task, made again from its reference where it was not given."""
        if self._task is None:
            self._task = load_task(self._reference("task"))
        return self._task

    def _reference(self, what: str) -> str:
        record = self.record
        ref = record.space_ref if what == "space" else record.task_ref
        if not ref:
            raise ConfigError(
                f"run {self.id} searched a {what} given as an object, which is never stored; "
                f"give it again: resume({what}=...)"
            )
        return ref

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial: number, architecture, status, validation value, seed, origin, ..."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            trials = ledger.trials.of(self.id)
        columns = ("number", "origin", "status", "value", "seed", "fidelity", "train_s", "params",
                   "flops", "reused", "message")  # fmt: skip
        rows = [
            {**{name: getattr(trial, name) for name in columns}, "architecture": trial.architecture}
            for trial in trials
        ]
        return pd.DataFrame(rows, columns=[*columns, "architecture"]).set_index("number")

    @property
    def principles(self) -> pd.DataFrame:
        """One row per version that the run works with, and what its trials say of it."""
        import pandas as pd

        with Ledger.open(self.home) as ledger:
            versions, latest = ledger.principles.current(self.id), ledger.evidence.latest(self.id)
        rows = []
        for version in versions:
            evidence = latest.get((version.principle, version.version))
            rows.append(
                {
                    "name": version.name,
                    "statement": version.statement,
                    "rule": words(version.rule),
                    "author": version.author,
                    "standing": evidence.standing.value if evidence else "candidate",
                    "effect": evidence.effect if evidence else None,
                    "low": evidence.low if evidence else None,
                    "high": evidence.high if evidence else None,
                    "top_loss_high": evidence.top_loss_high if evidence else None,
                }
            )
        names = ("name", "statement", "rule", "author", "standing", "effect", "low", "high",
                 "top_loss_high")  # fmt: skip
        return pd.DataFrame(rows, columns=list(names)).set_index("name")

    @property
    def region(self) -> Region:
        """What is left of the space after the cuts in force."""
        with Ledger.open(self.home) as ledger:
            return region_of(self.space, ledger.cuts.of(self.id))

    @property
    def report(self) -> str:
        """The report as Markdown, from the ledger as it stands."""
        from vitruvius.tools.report import to_markdown

        return to_markdown(self.facts())

    @property
    def report_html(self) -> str:
        """The report as one self-contained page of HTML, from the ledger as it stands."""
        from vitruvius.tools.report.page import to_html

        return to_html(self.facts())

    def facts(self) -> Report:
        """Returns all that reports, pages and plots say of the run as it stands."""
        from vitruvius.tools.report import build_report

        with Ledger.open(self.home) as ledger:
            return build_report(ledger, self.id, self.space, self.task)

    @property
    def best(self) -> BestNetwork:
        """The best network: by confirmation where there is one, else by validation.

        Raises:
            ToolError: no trial of the run has a score yet.
        """
        best = self.facts().best
        if best is None:
            raise ToolError(f"no trial of run {self.id} has finished with a score")
        return BestNetwork(run_id=self.id, space=self.space, task=self.task, facts=best)

    def export(self, directory: Path | str) -> Exported:
        """Writes the best network's weights and a Python file that builds it with torch alone.

        Raises:
            ToolError: nothing was trained, or no weights of the best network were kept.
        """
        from vitruvius.tools.export.files import export

        best = self.best
        return export(
            self.space, best.architecture, best.weights, best.trained_task(), Path(directory)
        )
