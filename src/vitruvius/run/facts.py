"""Looking at a run: what it found, read from the ledger as it stands, and its best network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvius.errors import ConfigError, ToolError
from vitruvius.memory.ledger.evidence import region_of
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Run
from vitruvius.spaces.region import Region
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.rules import words
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from vitruvius.tasks.task import TrainableTask
    from vitruvius.tools.export.files import Exported
    from vitruvius.tools.report.facts import Best, Report


class RunFacts:
    """What a run found. Every look reads the ledger anew: another process may drive the run."""

    def __init__(
        self,
        run_id: str,
        home: Path,
        *,
        space: SearchSpace | None = None,
        task: Task | None = None,
    ) -> None:
        self.id, self.home = run_id, home
        self.given_space, self.given_task = space, task

    def give(self, space: SearchSpace | None, task: Task | None) -> None:
        """Takes the objects again of a run that was started with objects; None leaves one as is."""
        self.given_space, self.given_task = space or self.given_space, task or self.given_task

    @property
    def record(self) -> Run:
        """The run's row as it stands."""
        with Ledger.open(self.home) as ledger:
            return ledger.runs.get(self.id)

    @property
    def space(self) -> SearchSpace:
        """The space, made again from its reference where it was not given."""
        if self.given_space is None:
            self.given_space = load_space(self._reference("space"))
        return self.given_space

    @property
    def task(self) -> Task:
        """The task, made again from its reference where it was not given."""
        if self.given_task is None:
            self.given_task = load_task(self._reference("task"))
        return self.given_task

    def _reference(self, what: str) -> str:
        record = self.record
        ref = record.space_ref if what == "space" else record.task_ref
        if not ref:
            raise ConfigError(
                f"run {self.id} searched a {what} given as an object, which is never stored; "
                f"give it again: resume({what}=...)"
            )
        return ref

    def trials(self) -> pd.DataFrame:
        """Returns one row per trial."""
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

    def principles(self) -> pd.DataFrame:
        """Returns one row per version that the run works with, and what its trials say of it."""
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

    def region(self) -> Region:
        """Returns what is left of the space after the cuts in force."""
        with Ledger.open(self.home) as ledger:
            return region_of(self.space, ledger.cuts.of(self.id))

    def report(self) -> Report:
        """Returns all that reports, pages and plots say of the run as it stands."""
        from vitruvius.tools.report import build_report

        with Ledger.open(self.home) as ledger:
            return build_report(ledger, self.id, self.space, self.task)

    def markdown(self) -> str:
        """Returns the report as Markdown."""
        from vitruvius.tools.report import to_markdown

        return to_markdown(self.report())

    def html(self) -> str:
        """Returns the report as one self-contained page of HTML."""
        from vitruvius.tools.report.page import to_html

        return to_html(self.report())

    def best(self) -> BestNetwork:
        """Returns the best network: by confirmation where there is one, else by validation."""
        best = self.report().best
        if best is None:
            raise ToolError(f"no trial of run {self.id} has finished with a score")
        return BestNetwork(run_id=self.id, space=self.space, task=self.task, facts=best)

    def export(self, directory: Path) -> Exported:
        """Writes the best network's weights and a Python file that builds it with torch alone."""
        from vitruvius.tools.export.files import export

        best = self.best()
        return export(self.space, best.architecture, best.weights, best.trained_task(), directory)


@dataclass(frozen=True, kw_only=True)
class BestNetwork:
    """What a run found: the facts of the report, and the trained network itself."""

    run_id: str
    space: SearchSpace
    task: Task
    facts: Best

    def __repr__(self) -> str:
        value, found = (
            f"{self.value:.4g} {self.task.metric.unit}".strip(),
            self.facts.finalist.found,
        )
        return f"BestNetwork({value}, {found.name}: {self.architecture})"

    def _repr_html_(self) -> str:
        from vitruvius.notebook.cards import best_card

        return best_card(self)

    @property
    def architecture(self) -> Architecture:
        return self.facts.finalist.architecture

    @property
    def value(self) -> float:
        """Validation metric: mean over the fresh seeds, or of the search where unconfirmed."""
        judged = self.facts.finalist.confirmed or self.facts.finalist.search
        assert judged is not None
        return judged.mean

    @property
    def params(self) -> int | None:
        return self.facts.finalist.found.params

    def trained_task(self) -> TrainableTask:
        """Returns the task, if networks are trained on it.

        Raises:
            ToolError: the task is a table, so there is no network.
        """
        from vitruvius.tasks.task import TrainableTask

        if not isinstance(self.task, TrainableTask):
            raise ToolError(f"task {self.task.name} is a table: nothing was trained")
        return self.task

    @property
    def weights(self) -> Path:
        """The file with the trained weights (a state dict, readable with weights_only).

        Raises:
            ToolError: none were kept.
        """
        self.trained_task()  # says so if nothing was trained
        # The ledger may have come here without its folder of weights.
        if self.facts.weights is None or not Path(self.facts.weights[1]).is_file():
            raise ToolError(f"no weights of the best network of run {self.run_id} were kept")
        return Path(self.facts.weights[1])

    def load(self) -> torch.nn.Module:
        """Returns the trained network in evaluation mode, on the CPU.

        Raises:
            ToolError: nothing was trained, or no weights were kept.
        """
        import torch

        from vitruvius.spaces.space import Builder

        task, space, weights = self.trained_task(), self.space, self.weights
        if not isinstance(space, Builder):
            raise ToolError(f"space {space.name} builds no networks")
        network = space.build(self.architecture, task.signature)
        # Trained perhaps on a device that is not here; and reading weights must run no code.
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network.eval()
