"""What a run's nodes work with: the ledger's rows as views, and the engines of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vitruvius.agents.chairs.protocols import Architect, Theorist
from vitruvius.agents.chairs.view import PrincipleView, RunView
from vitruvius.events import Event, EventKind, Listener
from vitruvius.graphs.drive.replay import CUT_OFF, Recorded
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.digest import Digest
from vitruvius.graphs.search.fork_isolation import hidden_scores
from vitruvius.graphs.search.provisional_trust import trust_left
from vitruvius.graphs.search.warnings import Foresight
from vitruvius.memory.decisions import Decision
from vitruvius.memory.evidence.calibration import calibrate
from vitruvius.memory.evidence.proxy_verdicts import proxy_weights, with_weights
from vitruvius.memory.evidence.region_of_run import region_of
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.model.noise import noise_floor
from vitruvius.memory.model.proxy_scores import Board, board_of
from vitruvius.memory.model.ranking import learn
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
from vitruvius.memory.transfer.sources import Source
from vitruvius.settings import Policy
from vitruvius.spaces.region import Region
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.tasks.tables.table import Tabular
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.calls.note import Note
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.proxies import proxies_for
from vitruvius.tools.training.evaluation import Evaluator

ALL_PROXIES_SHOWN = 64  # the calibration shown to a chair looks at this many trials at most
RECENT_DECISIONS = 8
NOTES_SHOWN = 5
T = TypeVar("T")


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
    shows_proxies: bool  # whether a chair reads how the proxies are calibrated
    asks: bool  # whether costly decisions wait for an answer
    listener: Listener
    only_wishes: bool = False  # whether to let go of the run once no wish is open
    recorded: Recorded | None = None  # what this run replays
    sources: Sequence[Source] = ()  # other runs whose trials may guide this one
    writes_page: bool = True  # beside the report's text, at the end
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    foresight: Foresight = field(default_factory=Foresight)
    _cut_off: set[int] | None = None
    _open: Decision | None = None  # as read last; only this process writes decisions of its run
    _digest: Digest | None = None
    _is_digest_old: bool = True
    _board: Board | None = None
    _hidden: Collection[Architecture] = ()  # of scores that came after a fork
    _is_board_old: bool = True
    _principles: list[PrincipleView] | None = None
    _notes: Sequence[str] | None = None
    _noise: tuple[int, float | None] = (0, None)  # repeats it rests on, and the floor
    _is_account_closed: bool = False
    _beaten: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, kind: EventKind, text: str, **data: Any) -> None:
        """Tells the listener what happened."""
        self.listener(Event(kind=kind, text=text, data=data))

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a blocking function of the ledger or the statistics off the event loop."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def close_account(self) -> None:
        """Books the wall seconds so far and no more: the report says what the row will say."""
        self.beat()
        self._is_account_closed = True

    def beat(self) -> bool:
        """Renews the lease and books the wall seconds since the last call; True: please stop."""
        with self._lock:  # the heartbeat and the nodes both come here
            now = time.monotonic()
            elapsed = 0.0 if self._is_account_closed else now - self._beaten
            self._beaten = now
        return self.ledger.runs.beat(self.run.id, self.driver, elapsed)

    def spent(self) -> Spent:
        """Returns the account, up to this moment."""
        if self.beat():
            self.stopping.set()
        spent = self.ledger.steps.spent(self.run.id)
        self.foresight.warn(self, spent)
        return spent

    def train_s(self) -> float:
        """Returns what a training really takes: its mean seconds, 0 while not known or a table."""
        return 0.0 if isinstance(self.task, Tabular) else self.digest().train_s

    def estimate_anew(self) -> None:
        """Says what the run will take, once its own first trials say it."""
        self.foresight.estimate_anew(self)

    def cut_off(self) -> set[int]:
        """Returns the trials that the end of the run's time cut off: they are never taken up."""
        if self._cut_off is None:
            self._cut_off = {mark.step for mark in self.ledger.steps.marks(self.run.id, CUT_OFF)}
        return self._cut_off

    def note_cut_off(self, number: int) -> None:
        """Notes that a trial was cut off."""
        self.ledger.steps.mark(self.run.id, CUT_OFF, number, {})
        self.cut_off().add(number)

    def digest(self) -> Digest:
        """Returns the sums over all closed trials; reads only what is new."""
        if self._digest is None:
            self._digest = Digest(metric=self.task.metric)
        if not self._is_digest_old:
            return self._digest
        for trial in self.ledger.trials.of(self.run.id, after=self._digest.last):
            if trial.number in self.cut_off():
                self._digest.last = trial.number
                continue
            if trial.status.is_open or trial.status == ResultStatus.CANCELLED:
                return self._digest  # batches close whole before they are seen
            self._digest.add(trial)
        self._is_digest_old = False
        return self._digest

    def has_new_trials(self) -> None:
        """Says that the digest must look at the ledger again."""
        self._is_digest_old = True

    def board(self) -> Board | None:
        """Returns what proxies said of the space's architectures on this task, whoever asked."""
        if self._is_board_old:
            run = self.run
            self._hidden = hidden_scores(self, self._forked_from)
            self._board = board_of(self._seen(run.space_id, run.task_id, None, None))
            self._is_board_old = False
        return self._board

    def _seen(self, *wanted: Any) -> list[Score]:
        found = self.ledger.scores.of(*wanted)
        return [s for s in found if s.architecture not in self._hidden] if self._hidden else found

    def has_new_scores(self) -> None:
        """Says that proxies were asked."""
        self._is_board_old = True

    def has_new_principles(self) -> None:
        """Says that versions, their evidence or their adoption have changed."""
        self._principles = None

    def region(self) -> Region:
        """Returns the space less the cuts in force."""
        return region_of(self.space, self.ledger.cuts.of(self.run.id))

    def open_decision(self) -> Decision | None:
        """Returns the decision that waits to be carried out, from the ledger at first."""
        if self._open is None:
            self._open = self.ledger.steps.open_decision(self.run.id)
        return self._open

    def accept(self, step: int, author: str, call: Mapping[str, Any]) -> Decision:
        """Stores a decision that is to be carried out next, and returns it."""
        status = DecisionStatus.ACCEPTED
        self._open = self.ledger.steps.add_decision(self.run.id, step, author, call, status)
        return self._open

    def accept_wish(self, wish: Wish, step: int, call: Mapping[str, Any]) -> Decision:
        """Makes a wish the decision that is to be carried out next, and returns it."""
        self._open = self.ledger.requests.take_wish(wish.id, step, call)
        return self._open

    def amend(self, decision: Decision, call: Mapping[str, Any]) -> Decision:
        """Changes what the open decision will do, and returns it."""
        self.ledger.steps.amend_decision(decision.id, call)
        self._open = replace(decision, written=dict(call))
        return self._open

    def open_wishes(self) -> list[Wish]:
        """Returns what people ask of the run; in a replay, what they had asked by now."""
        found = self.ledger.requests.wishes(self.run.id, is_open=True)
        steps = self.steps() if any(wish.step is not None for wish in found) else 0
        return [wish for wish in found if wish.step is None or wish.step <= steps]

    def has_wishes(self) -> bool:
        """Returns whether people ask something of the run that is due now."""
        return bool(self.open_wishes())

    def lets_go(self) -> bool:
        """Returns whether this process drives no further, and sees to it: it came for wishes."""
        if self.only_wishes:
            self.stopping.set()
        return self.only_wishes

    def has_new_notes(self) -> None:
        """Says that a wish was closed."""
        self._notes = None

    def close_decision(self, decision: Decision, status: DecisionStatus, outcome: str) -> None:
        """Records what became of the open decision."""
        self.ledger.steps.close_decision(decision.id, status, outcome)
        self._open = None

    def steps(self) -> int:
        """Returns how many decisions were accepted so far: the number of the next step."""
        return self.ledger.steps.accepted_decisions(self.run.id)

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

    def progress(self) -> schedule.Progress:
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
            is_search_over=self.search_left(self.spent()) < 1 or self.is_exhausted(),
            has_loan=course.verified_closed < schedule.LOAN
            and any(cut.in_force and cut.provisional for cut in self.ledger.cuts.of(self.run.id)),
        )

    def verifications(self) -> int:
        """Returns how often the principles were measured after a theorist's turn."""
        last = self.last_verified()
        return last.get(
            "turns", self.ledger.steps.count_marks(self.run.id, "verified") if last else 0
        )

    def last_verified(self) -> Mapping[str, int]:
        """Returns what the last verification noted: results that it saw, and the like."""
        marks = self.ledger.steps.marks(self.run.id, "verified", last=1)
        return marks[-1].data if marks else {}

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
            decisions=self._recent_decisions(),
            calibrations=self._calibrations(trials, board) if self.shows_proxies or really else (),
            noise=self._noise_floor(),
            budget=self.run.budget,
            spent=spent,
            k=k,
            proxies=proxies,
            sources=self.sources,
            board=board,
            asked=self._asked() if really else 0,
            notes=self._read_notes(),
        )

    def wish_view(self) -> RunView:
        """Returns what a wish is checked against."""
        return self.view(self.steps(), "wish", 1, self.spent())

    def _read_notes(self) -> Sequence[str]:
        if self._notes is None:
            self._notes = [
                f"{wish.author}: {wish.call.text}"
                for wish in self.ledger.requests.wishes(self.run.id, is_open=False)
                if isinstance(wish.call, Note)
            ][-NOTES_SHOWN:]
        return self._notes

    def principles(self) -> list[PrincipleView]:
        """Returns the versions that this run works with, and what it knows of them."""
        if self._principles is None:
            self._principles = self._read_principles()
        return self._principles

    def _read_principles(self) -> list[PrincipleView]:
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

    def _recent_decisions(self) -> list[Decision]:
        return self.ledger.steps.decisions(self.run.id, last=RECENT_DECISIONS)

    @cached_property
    def _forked_from(self) -> Sequence[str]:
        return self.ledger.runs.lineage(self.run.id)[1:]

    @cached_property
    def _trains(self) -> bool:
        """Whether networks are really trained: asked once, for a table is slow to say no."""
        return isinstance(self.task, TrainableTask)

    def _asked(self) -> int:
        calls = (decision.call for decision in self.ledger.steps.decisions(self.run.id))
        return sum(len(call.architectures) for call in calls if isinstance(call, Proxy))

    def _calibrations(self, trials: Sequence[Trial], board: Board | None) -> list[Calibration]:
        recent = list(trials[-ALL_PROXIES_SHOWN:])
        scores = self._seen(
            self.run.space_id,
            self.run.task_id,
            proxies_for(self.space, self.task),
            [trial.architecture for trial in recent],
        )
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
