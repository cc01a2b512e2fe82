"""What passes between a run and its chairs: what a chair may see, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from vitruvius.budget import Budget
from vitruvius.memory.decisions import Decision
from vitruvius.memory.edits import Edit
from vitruvius.memory.model.proxy_scores import Board
from vitruvius.memory.records import (
    Calibration,
    DecisionStatus,
    Evidence,
    ModelCall,
    Origin,
    PrincipleVersion,
    Spent,
    Standing,
    Trial,
)
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.calls.tool import Tool


@dataclass(frozen=True, kw_only=True)
class PrincipleView:
    """A version with what this run knows of it. `trust` in [0, 1]: weight of other runs' word."""

    version: PrincipleVersion
    standing: Standing
    trust: float
    source_effect: float | None  # what earlier runs measured, normal-score units
    evidence: Evidence | None

    @classmethod
    def of(
        cls,
        version: PrincipleVersion,
        evidence: Evidence | None,
        *,
        trust: float = 0.0,
        source_effect: float | None = None,
    ) -> PrincipleView:
        """Returns the view of a version that was measured last by `evidence`, or never."""
        return cls(
            version=version,
            standing=evidence.standing if evidence else Standing.CANDIDATE,
            trust=trust,
            source_effect=source_effect,
            evidence=evidence,
        )


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A read-only picture of a run at one step. Trials are closed and in order of number."""

    run_id: str
    step: int
    seed: int  # of this step: every random choice of a chair draws from it
    space: SearchSpace
    task: Task
    region: Region
    trials: Sequence[Trial]
    principles: Sequence[PrincipleView]
    cuts: Sequence[Cut]
    decisions: Sequence[Decision]  # the latest, turned-down ones included
    calibrations: Sequence[Calibration]
    noise: float | None  # standard deviation between seeds near the top, in the metric's unit
    budget: Budget
    spent: Spent
    k: int  # most architectures in one decision to train
    proxies: Sequence[str]  # names that the proxy tool knows for this space and task
    sources: Sequence[Source] = ()  # other runs whose trials may guide this one
    board: Board | None = None  # what proxies said of architectures of this space and task
    asked: int = 0  # architectures about which this run has asked proxies
    notes: Sequence[str] = ()  # that people left for the architect, the latest last

    @cached_property
    def evaluated(self) -> frozenset[Architecture]:
        """Architectures with a trial of this run, whatever came of it."""
        return frozenset(trial.architecture for trial in self.trials)

    @cached_property
    def features(self) -> FloatArray:
        """Feature matrix of `trials`, row by row."""
        if not self.trials:
            return np.empty((0, len(self.space.features)))
        return self.space.featurise([trial.architecture for trial in self.trials])

    def beside(self, features: FloatArray, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the features with what proxies said of the architectures, where there is any."""
        return features if self.board is None else self.board.beside(features, architectures)

    @cached_property
    def best(self) -> Trial | None:
        """The done trial with the best validation value (not a confirmation)."""
        done = [t for t in self.trials if t.value is not None and t.origin != Origin.CONTROL]
        sign = self.task.metric.sign
        return max(done, key=lambda t: (sign * (t.value or 0.0), -t.number), default=None)


@dataclass(frozen=True, kw_only=True)
class TurnedDown:
    """A reply of `author` that was not accepted, and the sentence that the author was told."""

    author: str
    status: DecisionStatus
    text: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A decision with its author. `turned_down` came before it; `calls` are what it cost."""

    decision: Tool
    author: str
    turned_down: Sequence[TurnedDown] = field(default_factory=tuple)
    calls: Sequence[ModelCall] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """Edits with their author, as `Proposal`."""

    edits: Sequence[Edit]
    author: str
    turned_down: Sequence[TurnedDown] = field(default_factory=tuple)
    calls: Sequence[ModelCall] = field(default_factory=tuple)


class Architect(Protocol):
    """Decides one step."""

    async def decide(self, view: RunView) -> Proposal: ...


class Theorist(Protocol):
    """Proposes edits after a batch of results; none is a fine answer."""

    async def rewrite(self, view: RunView) -> Rewrite: ...
