"""A bare loop around the analyst: the graph's rules of exploration, no ledger, no checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vitruvius.agents.analyst.analyst import choose
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.budget import Budget
from vitruvius.graphs.search.schedule import forced_origins
from vitruvius.memory.model.proxy_scores import Board
from vitruvius.memory.records import Origin, ResultStatus, Spent, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.memory.transfer.sources import Source
from vitruvius.memory.transfer.weighing import has_guide
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.calls.train import Train

SHARE = 0.15


class Asked(Protocol):
    """What an arena asks: an oracle, or another that counts its queries."""

    @property
    def queries(self) -> float: ...
    def ask(self, architecture: Architecture) -> float:
        """Returns the validation value; NaN if it diverges, -inf if it breaks a limit."""
        ...


@dataclass(eq=False)
class Arena:
    """One run of the analyst on an oracle: its trials so far, one more at every `step`."""

    space: SearchSpace
    task: Task
    oracle: Asked
    seed: int
    region: Region
    trials: list[Trial] = field(default_factory=list)
    principles: Sequence[PrincipleView] = ()
    sources: Sequence[Source] = ()
    board: Board | None = None

    def step(self) -> None:
        """Asks one architecture: a uniform draw where that is due, else the analyst's choice.

        Raises:
            Spent: of the oracle's queries.
        """
        made = Counter(trial.origin for trial in self.trials)
        forced = forced_origins(
            made,
            explore=SHARE,
            control=0.0,
            repeats_due=0,
            room=1,
            guided=has_guide(self.space, self.sources),
        )
        if forced:
            self._try(self._draw(), Origin.EXPLORE)
        else:
            decision = choose(self.view()).decision
            assert isinstance(decision, Train)
            self._try(self.space.parse(decision.architectures[0]), Origin.ARCHITECT)

    def view(self) -> RunView:
        """Returns what a chair may see now."""
        step = len(self.trials)
        return RunView(
            run_id="arena",
            step=step,
            seed=int(np.random.default_rng([self.seed, step]).integers(2**31)),
            space=self.space,
            task=self.task,
            region=self.region,
            trials=self.trials,
            principles=self.principles,
            cuts=self.region.cuts,
            decisions=(),
            calibrations=(),
            noise=None,
            budget=Budget(trials=int(self.oracle.queries)),
            spent=Spent(trials=step, wall_s=0.0, tokens=0, dollars=0.0),
            k=1,
            proxies=(),
            sources=self.sources,
            board=self.board,
        )

    def _draw(self) -> Architecture:
        rng = np.random.default_rng([self.seed, len(self.trials), *b"uniform"])
        tried = {trial.architecture for trial in self.trials}
        while (architecture := self.space.sample(rng)) in tried:
            pass
        return architecture

    def _try(self, architecture: Architecture, origin: Origin) -> None:
        number, value = len(self.trials) + 1, self.oracle.ask(architecture)
        status = None
        if np.isnan(value):
            status = ResultStatus.DIVERGED
        elif value == -np.inf:
            status = ResultStatus.INFEASIBLE  # breaks a limit of the task
        self.trials.append(
            closed_trial(
                number,
                architecture,
                value if status is None else None,
                origin=origin,
                status=status,
                fidelity=self.task.fidelity.key,
                seed=self.seed,
            )
        )
