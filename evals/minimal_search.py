"""The search on one page: which architecture is tried next, and why.

A run adds around this what makes it last (a ledger, checkpoints, workers that train) and what makes
it speak (principles that are measured on the trials, and cuts by them): `graphs/search/`. How the
next architecture is chosen is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vitruvius.agents.analyst.analyst import choose
from vitruvius.agents.chairs.view import RunView
from vitruvius.budget import Budget
from vitruvius.graphs.search.schedule import forced_origins
from vitruvius.memory.model.proxy_scores import Board
from vitruvius.memory.records import Origin, ResultStatus, Spent, Trial
from vitruvius.memory.testing import closed_trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.memory.transfer.weighing import has_guide
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.calls.train import Train

EXPLORE = 0.15  # share of uniform draws, as in a run of default settings


class Asked(Protocol):
    """What is searched: an oracle, or another that counts its queries."""

    @property
    def queries(self) -> float: ...
    def ask(self, architecture: Architecture) -> float:
        """Returns the validation value; NaN if it diverges, -inf if it breaks a limit."""
        ...


@dataclass(eq=False)
class MinimalSearch:
    """A search by the analyst: its trials so far, and one more at every `step`."""

    space: SearchSpace
    task: Task
    oracle: Asked
    seed: int
    trials: list[Trial] = field(default_factory=list)
    sources: Sequence[Source] = ()  # trials of other runs
    board: Board | None = None  # what proxies said of architectures

    def __post_init__(self) -> None:
        self.region = Region(self.space)  # the whole space: nothing is cut here

    def step(self) -> None:
        """Tries one more architecture, and remembers what became of it.

        Raises:
            Spent: of the oracle's queries.
        """
        if self.is_draw_due():
            architecture, origin = self.draw(), Origin.EXPLORE
        else:
            architecture, origin = self.choose(), Origin.ARCHITECT
        self.trials.append(self.closed(architecture, origin, self.oracle.ask(architecture)))

    def is_draw_due(self) -> bool:
        """Returns whether uniform draws are behind their share: at first, and now and then later.

        They find out what the model is wrong about; chosen trials show what it believes.
        """
        made = Counter(trial.origin for trial in self.trials)
        is_guided = has_guide(self.space, self.sources)
        return bool(
            forced_origins(
                made, explore=EXPLORE, control=0.0, repeats_due=0, room=1, guided=is_guided
            )
        )

    def draw(self) -> Architecture:
        """Returns a draw of the space's sampler that was not tried yet."""
        rng = np.random.default_rng([self.seed, len(self.trials), *b"uniform"])
        tried = {trial.architecture for trial in self.trials}
        while (architecture := self.space.sample(rng)) in tried:
            pass
        return architecture

    def choose(self) -> Architecture:
        """Returns the untried architecture that the analyst expects most of, or knows least.

        A Gaussian process on features learns the ranks of the trials; it chooses by mean plus
        deviations (`memory/model/gaussian_process.py`, `agents/analyst/acquisition.py`).
        """
        decision = choose(self.view()).decision
        assert isinstance(decision, Train)
        return self.space.parse(decision.architectures[0])

    def closed(self, architecture: Architecture, origin: Origin, value: float) -> Trial:
        """Returns the trial as it is remembered; one without a value says why."""
        status = None
        if np.isnan(value):
            status = ResultStatus.DIVERGED
        elif value == -np.inf:
            status = ResultStatus.INFEASIBLE  # breaks a limit of the task
        return closed_trial(
            len(self.trials) + 1,
            architecture,
            value if status is None else None,
            origin=origin,
            status=status,
            fidelity=self.task.fidelity.key,
            seed=self.seed,
        )

    def view(self) -> RunView:
        """Returns all that the analyst sees: a choice is a pure function of it."""
        step = len(self.trials)
        return RunView(
            run_id="minimal",
            step=step,
            seed=int(np.random.default_rng([self.seed, step]).integers(2**31)),
            space=self.space,
            task=self.task,
            region=self.region,
            trials=self.trials,
            principles=(),
            cuts=(),
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
