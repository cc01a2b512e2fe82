"""The best network of a run: the report's facts, and the trained network itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvius.errors import ToolError
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task

if TYPE_CHECKING:
    import torch

    from vitruvius.tasks.task import TrainableTask
    from vitruvius.tools.report.facts import Best


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
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network.eval()
