"""What a run's rows say, as views: read again only where the ledger was written to since.

Nobody tells a view that it is old: it is kept with the count of changes to the tables that it rests
on. The ledger counts what this process writes, and that is enough: a run has one driver at a time,
and only its driver writes the rows that are kept here. What others may write while it is driven,
the wishes, is read each time. The scores that other runs ask for meanwhile are left out on purpose:
a run must not depend on how fast another one is.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.graphs.drive.replay import CUT_OFF, Recorded
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.provisional_trust import trust_left
from vitruvius.memory.decisions import Decision
from vitruvius.memory.evidence.calibration import calibrate, proxy_weights, with_weights
from vitruvius.memory.ledger.evidence import region_of
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.model.proxy_scores import Board, board_of
from vitruvius.memory.model.ranking import learn, noise_floor
from vitruvius.memory.records import (
    Calibration,
    DecisionStatus,
    Origin,
    ResultStatus,
    Run,
    Score,
    Spent,
    Trial,
)
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.tables.table import Tabular
from vitruvius.tasks.task import Metric, Task, TrainableTask
from vitruvius.tools.calls.note import Note
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.proxies import proxies_for

ALL_PROXIES_SHOWN = 64  # the calibration shown to a chair looks at this many trials at most
RECENT_DECISIONS = 8
NOTES_SHOWN = 5
NOT_SEARCH = (Origin.CONTROL, Origin.CONFIRM)
T = TypeVar("T")


@dataclass(kw_only=True)
class Digest:
    """Closed trials in order of number, summed up: what a step reads costs the same at any length.

    Holds nothing that the ledger does not.
    """

    metric: Metric
    last: int = 0  # number of the last trial
    search: list[Trial] = field(default_factory=list)  # what chairs and statistics may see
    origins: Counter[Origin] = field(default_factory=Counter)
    results: dict[int, Architecture] = field(default_factory=dict)
    seen: set[Architecture] = field(default_factory=set)  # by the search
    counts: Counter[Architecture] = field(default_factory=Counter)  # trials of any origin
    sums: dict[Architecture, tuple[int, float]] = field(default_factory=dict)
    since_best: int = 0  # search trials since the best one
    best: float = -math.inf  # times the metric's sign
    trained: tuple[int, float] = (0, 0.0)  # trainings of the search, and their seconds

    def add(self, trial: Trial) -> None:
        """Takes in the next closed trial."""
        self.last = trial.number
        self.origins[trial.origin] += 1
        self.counts[trial.architecture] += 1
        self.results[trial.result_id] = trial.architecture
        if trial.origin in NOT_SEARCH:
            return
        self.search.append(trial)
        self.seen.add(trial.architecture)
        if trial.train_s and not trial.reused:
            self.trained = (self.trained[0] + 1, self.trained[1] + trial.train_s)
        self.since_best += 1
        if trial.value is None:
            return
        value = self.metric.sign * trial.value
        count, total = self.sums.get(trial.architecture, (0, 0.0))
        self.sums[trial.architecture] = (count + 1, total + value)
        if value > self.best:
            self.best, self.since_best = value, 0

    @property
    def train_s(self) -> float:
        """Mean seconds of a training, 0 before the first."""
        count, total = self.trained
        return total / count if count else 0.0

    def leaders(self, count: int) -> list[Architecture]:
        """Returns the best architectures by mean validation value over seeds, first found first."""
        return heapq.nlargest(
            count, self.sums, key=lambda found: self.sums[found][1] / self.sums[found][0]
        )


@dataclass(kw_only=True)
class Reader:
    """The views of one run. It writes nothing."""

    ledger: Ledger
    run: Run
    space: SearchSpace
    task: Task
    shows_proxies: bool = False  # whether a chair reads how the proxies are calibrated
    recorded: Recorded | None = None  # what this run replays
    sources: Sequence[Source] = ()  # other runs whose trials may guide this one
    _kept: dict[str, tuple[int, Any]] = field(default_factory=dict)  # by table changes
    _noise: tuple[int, float | None] = (0, None)  # repeats it rests on, and the floor

    def _view(self, read: Callable[[], T], *tables: str) -> T:
        """Returns what `read` returns, from before where no change of the tables came since."""
        changes = self.ledger.changes(*tables)  # first: a write that comes meanwhile is read again
        kept = self._kept.get(read.__name__)
        if kept is None or kept[0] != changes:
            kept = self._kept[read.__name__] = changes, read()
        found: T = kept[1]
        return found

    def digest(self) -> Digest:
        """Returns the sums over all closed trials; reads only what is new."""
        changes = self.ledger.changes("trials")  # closed ones change no more
        kept = self._kept.get("digest", (-1, Digest(metric=self.task.metric)))
        digest: Digest = kept[1]
        if kept[0] != changes:
            # Kept as of no change while a trial is open: another run's process may close it.
            self._kept["digest"] = (changes if self._sum_up(digest) else -1), digest
        return digest

    def _sum_up(self, digest: Digest) -> bool:
        """Adds new closed trials; returns whether no open one is left."""
        for trial in self.ledger.trials.of(self.run.id, after=digest.last):
            if trial.number in self.cut_off():
                digest.last = trial.number
                continue
            if trial.status.is_open or trial.status == ResultStatus.CANCELLED:
                return False  # batches close whole before they are seen
            digest.add(trial)
        return True

    def account(self) -> Spent:
        """Returns what the run has used; wall seconds as they were booked when this was read."""
        # A result that another run's process closed shows with the decision that waited for it.
        return self._view(self._account, "trials", "results", "calls", "decisions")

    def _account(self) -> Spent:
        return self.ledger.steps.spent(self.run.id)

    def train_s(self) -> float:
        """Returns what a training really takes: its mean seconds, 0 while not known or a table."""
        return 0.0 if isinstance(self.task, Tabular) else self.digest().train_s

    def cut_off(self) -> set[int]:
        """Returns the trials that the end of the run's time cut off: they are never taken up."""
        return self._view(self._cut_off, "marks")

    def _cut_off(self) -> set[int]:
        return {mark.step for mark in self.ledger.steps.marks(self.run.id, CUT_OFF)}

    def board(self) -> Board | None:
        """Returns what proxies said of the space's architectures on this task, whoever asked."""
        return self._view(self._board, "scores")

    def _board(self) -> Board | None:
        return board_of(self._scores(None, None))

    def _scores(
        self, proxies: Sequence[str] | None, architectures: Sequence[Architecture] | None
    ) -> list[Score]:
        run, hidden = self.run, self._view(self._hidden, "scores")
        found = self.ledger.scores.of(run.space_id, run.task_id, proxies, architectures)
        return [score for score in found if score.architecture not in hidden] if hidden else found

    def _hidden(self) -> set[Architecture]:
        """Returns what its elders asked proxies about after the fork, and the run itself did not.

        A fork sees nothing that came after it was made; they share the table of scores.
        """
        theirs = {one for name in self._forked_from for one in self._asked_about(name)}
        return theirs - set(self._asked_about(self.run.id)) if theirs else theirs

    def _asked_about(self, run_id: str) -> list[Architecture]:
        return [
            self.space.parse(spec)
            for decision in self.ledger.steps.decisions(run_id)
            if decision.status == DecisionStatus.CARRIED_OUT and isinstance(decision.call, Proxy)
            for spec in decision.call.architectures
        ]

    def region(self) -> Region:
        """Returns the space less the cuts in force."""
        return self._view(self._region, "cuts")

    def _region(self) -> Region:
        return region_of(self.space, self.ledger.cuts.of(self.run.id))

    def open_decision(self) -> Decision | None:
        """Returns the decision that waits to be carried out."""
        return self._view(self._open_decision, "decisions")

    def keep_open(self, decision: Decision | None) -> None:
        """Keeps what was just written, which need not be read again."""
        self._kept[self._open_decision.__name__] = self.ledger.changes("decisions"), decision

    def _open_decision(self) -> Decision | None:
        return self.ledger.steps.open_decision(self.run.id)

    def steps(self) -> int:
        """Returns how many decisions were accepted so far: the number of the next step."""
        return self._view(self._steps, "decisions")

    def _steps(self) -> int:
        return self.ledger.steps.accepted_decisions(self.run.id)

    def open_wishes(self) -> list[Wish]:
        """Returns what people ask of the run; in a replay, what they had asked by now."""
        found = self.ledger.requests.wishes(self.run.id, is_open=True)
        steps = self.steps() if any(wish.step is not None for wish in found) else 0
        return [wish for wish in found if wish.step is None or wish.step <= steps]

    def has_wishes(self) -> bool:
        """Returns whether people ask something of the run that is due now."""
        return bool(self.open_wishes())

    def notes(self) -> Sequence[str]:
        """Returns the last notes that people left, told with their authors."""
        return self._view(self._notes, "wishes")

    def _notes(self) -> Sequence[str]:
        return [
            f"{wish.author}: {wish.call.text}"
            for wish in self.ledger.requests.wishes(self.run.id, is_open=False)
            if isinstance(wish.call, Note)
        ][-NOTES_SHOWN:]

    def rng(self, purpose: str, step: int) -> np.random.Generator:
        """Returns the generator of one purpose at one step, the same in every process."""
        return np.random.default_rng([self.run.seed, step, *purpose.encode()])

    def search_left(self, spent: Spent) -> float:
        """Returns how many more trials the search may open."""
        budget = self.run.budget
        if self.recorded is not None and self.recorded.search_steps is not None:
            if self.steps() >= self.recorded.search_steps:
                return 0
            budget = replace(budget, wall_s=None)  # where the clock stopped it then, is known
        return schedule.search_trials_left(budget, spent, self.task.is_noisy, self.train_s())

    def is_exhausted(self) -> bool:
        """Returns whether every member of a listed space has been tried."""
        members, seen = self.space.members(), self.digest().seen
        if members is None or len(seen) < len(members):
            return False
        return all(member in seen for member in members)

    def progress(self, spent: Spent) -> schedule.Progress:
        """Returns where the run stands, from its rows alone."""
        digest = self.digest()
        course = self.ledger.steps.course(self.run.id, schedule.MAX_IDLE)
        return schedule.Progress(
            closed=len(digest.search),
            reflected_at=course.reflected_at,
            verify_due=course.reflections > course.verifications,
            idle=course.idle,
            since_best=digest.since_best,
            has_open_decision=course.has_open_decision,
            is_search_over=self.search_left(spent) < 1 or self.is_exhausted(),
            has_loan=course.verified_closed < schedule.LOAN
            and any(c.in_force and c.provisional for c in self.ledger.cuts.of(self.run.id)),
        )

    def verifications(self) -> int:
        """Returns how often the principles were measured after a theorist's turn."""
        last = self.last_verified()
        if not last:
            return 0
        return last.get("turns", self.ledger.steps.count_marks(self.run.id, "verified"))

    def last_verified(self) -> Mapping[str, int]:
        """Returns what the last verification noted: results that it saw, and the like."""
        return self._view(self._last_verified, "marks")

    def _last_verified(self) -> Mapping[str, int]:
        marks = self.ledger.steps.marks(self.run.id, "verified", last=1)
        return marks[-1].data if marks else {}

    def principles(self) -> list[PrincipleView]:
        """Returns the versions that this run works with, and what it knows of them."""
        return self._view(self._principles, "versions", "adoptions", "evidence", "marks")

    def _principles(self) -> list[PrincipleView]:
        ledger, run_id = self.ledger, self.run.id
        latest = ledger.evidence.latest(run_id)
        adopted = {adoption.version: adoption for adoption in ledger.principles.adopted(run_id)}
        closed = self.last_verified().get("closed", 0) if adopted else 0
        views = []
        for found in ledger.principles.current(run_id):
            shared = found.run_id in self._forked_from  # what a fork shares is its own
            version = replace(found, run_id=run_id) if shared else found
            evidence = latest.get((version.principle, version.version))
            source = adopted.get(version.name)
            views.append(
                PrincipleView.of(
                    version,
                    evidence,
                    trust=trust_left(source.trust, evidence, closed) if source else 0.0,
                    source_effect=source.source_effect if source else None,
                )
            )
        return views

    @cached_property
    def _forked_from(self) -> Sequence[str]:
        return self.ledger.runs.lineage(self.run.id)[1:]

    @cached_property
    def _trains(self) -> bool:
        """Whether networks are really trained: asked once, for a table is slow to say no."""
        return isinstance(self.task, TrainableTask)

    def view(self, step: int, purpose: str, k: int, spent: Spent) -> RunView:
        """Returns what a chair may see at this step."""
        trials, board = self.digest().search, self.board()
        region, proxies = self.region(), proxies_for(self.space, self.task)
        really = bool(proxies) and self._trains
        return RunView(
            run_id=self.run.id,
            step=step,
            seed=int(self.rng(purpose, step).integers(2**31)),
            space=self.space,
            task=self.task,
            region=region,
            trials=trials,
            principles=self.principles(),
            cuts=region.cuts,
            decisions=self.ledger.steps.decisions(self.run.id, last=RECENT_DECISIONS),
            calibrations=self._calibrations(trials, board) if self.shows_proxies or really else (),
            noise=self._noise_floor(),
            budget=self.run.budget,
            spent=spent,
            k=k,
            proxies=proxies,
            sources=self.sources,
            board=board,
            asked=self._view(self._asked, "decisions") if really else 0,
            notes=self.notes(),
        )

    def _asked(self) -> int:
        calls = (decision.call for decision in self.ledger.steps.decisions(self.run.id))
        return sum(len(call.architectures) for call in calls if isinstance(call, Proxy))

    def _calibrations(self, trials: Sequence[Trial], board: Board | None) -> list[Calibration]:
        recent = list(trials[-ALL_PROXIES_SHOWN:])
        shown = proxies_for(self.space, self.task)
        scores = self._scores(shown, [trial.architecture for trial in recent])
        found = calibrate(scores, recent, self.task.metric, self.space)
        if board is None or not self.shows_proxies:
            return found
        lesson = learn(trials, self.task.metric)
        return with_weights(found, proxy_weights(self.space, board, self.sources, lesson))

    def _noise_floor(self) -> float | None:
        digest = self.digest()
        repeats = digest.origins[Origin.REPEAT]
        if repeats > self._noise[0]:
            self._noise = repeats, noise_floor(digest.search, self.task.metric)
        return self._noise[1]
