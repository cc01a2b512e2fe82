"""What a run's nodes work with: the ledger's rows as views, and the engines of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vitruvius.agents.chairs import Architect, Theorist
from vitruvius.agents.view import PrincipleView, RunView
from vitruvius.events import Event, EventKind, Listener
from vitruvius.graphs import schedule
from vitruvius.memory.calibration import calibrate
from vitruvius.memory.effects import noise_floor
from vitruvius.memory.index import PrincipleIndex
from vitruvius.memory.ledger import Ledger
from vitruvius.memory.records import (
    Calibration,
    Decision,
    DecisionStatus,
    Origin,
    Run,
    Spent,
    Standing,
    Trial,
)
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.evaluation import Evaluator
from vitruvius.tools.proxies import proxies_for

ALL_PROXIES_SHOWN = 64  # the calibration shown to a chair looks at this many trials at most
RECENT_DECISIONS = 8
T = TypeVar("T")
NOT_SEARCH = (Origin.CONTROL, Origin.CONFIRM)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The settings of a run that its graph reads."""

    explore: float = 0.15
    control: float = 0.0
    reflect_every: int = 8
    cut_loss: float = 0.05
    trust_to_cut: float = 0.5


@dataclass(kw_only=True)
class Session:
    """One process driving one run. Everything that must survive it is in the ledger."""

    ledger: Ledger
    index: PrincipleIndex
    run: Run
    run_dir: Path
    space: SearchSpace
    task: Task
    evaluator: Evaluator
    architect: Architect
    theorist: Theorist
    policy: Policy
    driver: str
    batch: int  # most architectures in one decision to train
    asks: bool  # whether costly decisions wait for an answer
    listener: Listener
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: list[Trial] = field(default_factory=list)
    _beaten: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: EventKind, text: str, **data: Any) -> None:
        """Tells the listener what happened."""
        self.listener(Event(kind=kind, text=text, data=data))

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a blocking function of the ledger or the statistics off the event loop."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def beat(self) -> bool:
        """Renews the lease and books the wall seconds since the last call; True: please stop."""
        with self._lock:  # the heartbeat and the nodes both come here
            now = time.monotonic()
            elapsed, self._beaten = now - self._beaten, now
        return self.ledger.beat(self.run.id, self.driver, elapsed)

    def spent(self) -> Spent:
        """Returns the account, up to this moment."""
        if self.beat():
            self.stopping.set()
        return self.ledger.spent(self.run.id)

    def trials(self) -> list[Trial]:
        """Returns all closed trials in order of number; reads only what is new."""
        after = self._closed[-1].number if self._closed else 0
        for trial in self.ledger.trials(self.run.id, after=after):
            if trial.status.is_open:
                break  # batches close whole before they are seen
            self._closed.append(trial)
        return self._closed

    def forget(self) -> None:
        """Drops what was read, after rows that were closed have been opened again."""
        self._closed.clear()

    def search_trials(self) -> list[Trial]:
        """Returns the closed trials that chairs and statistics may see."""
        return [trial for trial in self.trials() if trial.origin not in NOT_SEARCH]

    def region(self) -> Region:
        """Returns the space less the cuts in force."""
        cuts = [
            Cut(
                number=cut.number,
                rule=cut.rule,
                principle=cut.principle,
                reason=cut.reason,
                provisional=cut.provisional,
            )
            for cut in self.ledger.cuts(self.run.id)
            if cut.in_force
        ]
        return Region(self.space, tuple(cuts))

    def steps(self) -> int:
        """Returns how many decisions were accepted so far: the number of the next step."""
        return self.ledger.accepted_decisions(self.run.id)

    def rng(self, purpose: str, step: int) -> np.random.Generator:
        """Returns the generator of one purpose at one step, the same in every process."""
        return np.random.default_rng([self.run.seed, step, *purpose.encode()])

    def search_left(self, spent: Spent) -> float:
        """Returns how many more trials the search may open."""
        return schedule.search_trials_left(self.run.budget, spent, self.task.is_noisy)

    def is_exhausted(self) -> bool:
        """Returns whether every member of a listed space has been tried."""
        members = self.space.members()
        if members is None or len(self._closed) < len(members):
            return False
        tried = {trial.architecture for trial in self.search_trials()}
        return all(member in tried for member in members)

    def progress(self) -> schedule.Progress:
        """Returns where the run stands, from its rows alone."""
        ledger, run_id = self.ledger, self.run.id
        trials = self.search_trials()
        verified = ledger.marks(run_id, "verified", last=1)
        step = int(verified[-1].data["step"]) if verified else -1
        idle = [
            decision
            for decision in ledger.decisions(run_id, last=schedule.MAX_IDLE)
            if decision.status == DecisionStatus.CARRIED_OUT
            and decision.step >= step
            and decision.call.get("tool") != "train"
        ]
        return schedule.Progress(
            closed=len(trials),
            reflected_at=int(verified[-1].data["closed"]) if verified else 0,
            verify_due=ledger.count_marks(run_id, "reflected")
            > ledger.count_marks(run_id, "verified"),
            idle=len(idle),
            since_best=self._since_best(trials),
            has_open_decision=ledger.open_decision(run_id) is not None,
            is_search_over=self.search_left(self.spent()) < 1 or self.is_exhausted(),
        )

    def _since_best(self, trials: Sequence[Trial]) -> int:
        sign = self.task.metric.sign
        best, at = -np.inf, 0
        for position, trial in enumerate(trials):
            if trial.value is not None and sign * trial.value > best:
                best, at = sign * trial.value, position + 1
        return len(trials) - at

    def view(self, step: int, purpose: str, k: int) -> RunView:
        """Returns what a chair may see at this step."""
        ledger, run_id = self.ledger, self.run.id
        trials = self.search_trials()
        region = self.region()
        return RunView(
            run_id=run_id,
            step=step,
            seed=int(self.rng(purpose, step).integers(2**31)),
            space=self.space,
            task=self.task,
            region=region,
            trials=trials,
            principles=self.principles(),
            cuts=region.cuts,
            decisions=self._recent_decisions(),
            calibrations=self._calibrations(trials),
            noise=noise_floor(trials, self.task.metric),
            budget=self.run.budget,
            spent=ledger.spent(run_id),
            k=k,
            proxies=proxies_for(self.space, self.task),
        )

    def principles(self) -> list[PrincipleView]:
        """Returns the versions that this run works with, and what it knows of them."""
        ledger, run_id = self.ledger, self.run.id
        latest = ledger.latest_evidence(run_id)
        adopted = {adoption.version: adoption for adoption in ledger.adopted(run_id)}
        views = []
        for version in ledger.current(run_id):
            evidence = latest.get((version.principle, version.version))
            source = adopted.get(version.name)
            views.append(
                PrincipleView(
                    version=version,
                    standing=evidence.standing if evidence else Standing.CANDIDATE,
                    trust=source.trust if source else 0.0,
                    source_effect=source.source_effect if source else None,
                    evidence=evidence,
                )
            )
        return views

    def _recent_decisions(self) -> list[Decision]:
        return self.ledger.decisions(self.run.id, last=RECENT_DECISIONS)

    def _calibrations(self, trials: Sequence[Trial]) -> list[Calibration]:
        recent = list(trials[-ALL_PROXIES_SHOWN:])
        scores = self.ledger.scores(
            self.run.space_id,
            self.run.task_id,
            proxies_for(self.space, self.task),
            [trial.architecture for trial in recent],
        )
        return calibrate(scores, recent, self.task.metric)

    def leaders(self, count: int) -> list[Architecture]:
        """Returns the best architectures of the search by mean validation value over seeds."""
        values: dict[Architecture, list[float]] = {}
        for trial in self.search_trials():
            if trial.value is not None:
                values.setdefault(trial.architecture, []).append(trial.value)
        sign = self.task.metric.sign
        ranked = sorted(values, key=lambda a: -sign * sum(values[a]) / len(values[a]))
        return ranked[:count]

    def evaluated(self) -> set[Architecture]:
        """Returns the architectures that this run's search has tried."""
        return {trial.architecture for trial in self.search_trials()}
