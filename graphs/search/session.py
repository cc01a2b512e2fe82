"""One process driving one run: its reader, its engines, and what it writes of decisions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from vitruvius.agents.chairs.view import Architect, RunView, Theorist
from vitruvius.events import Event, EventKind, Listener
from vitruvius.graphs.drive.replay import CUT_OFF
from vitruvius.graphs.search import schedule
from vitruvius.graphs.search.reader import Reader
from vitruvius.graphs.search.warnings import Foresight
from vitruvius.memory.decisions import Decision
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.ledger.requests import Wish
from vitruvius.memory.records import (
    DecisionStatus,
    Origin,
    Run,
    Spent,
    Trial,
)
from vitruvius.settings import Policy
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.tables.table import Tabular
from vitruvius.tasks.task import Task
from vitruvius.tools.training.evaluation import Evaluator

T = TypeVar("T")


@dataclass(kw_only=True)
class Session:
    """What the nodes of a run work with. All that must survive the process is in the ledger."""

    reader: Reader
    index: PrincipleIndex
    run_dir: Path
    evaluator: Evaluator
    architect: Architect
    theorist: Theorist
    policy: Policy
    driver: str
    batch: int  # most architectures in one decision to train
    asks: bool  # whether costly decisions wait for an answer
    listener: Listener
    only_wishes: bool = False  # whether to let go of the run once no wish is open
    wall_before_s: float = 0.0  # that the run's earlier drivers booked
    writes_page: bool = True  # beside the report's text, at the end
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    foresight: Foresight = field(default_factory=Foresight)
    _is_account_closed: bool = False
    _began: float = field(default_factory=time.monotonic)
    _beaten: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Books from now on."""
        self._beaten = self._began

    @property
    def ledger(self) -> Ledger:
        """The only writer of facts."""
        return self.reader.ledger

    @property
    def run(self) -> Run:
        """The row as it was when the driver took it."""
        return self.reader.run

    @property
    def space(self) -> SearchSpace:
        """The whole space, cuts or not."""
        return self.reader.space

    @property
    def task(self) -> Task:
        """What is searched for."""
        return self.reader.task

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

    def account(self) -> Spent:
        """Returns what the run has used, up to this moment."""
        now = self._beaten if self._is_account_closed else time.monotonic()
        return replace(self.reader.account(), wall_s=self.wall_before_s + now - self._began)

    def spent(self) -> Spent:
        """Returns the account; renews the lease, hears of a stop, warns of a near limit."""
        if self.beat():
            self.stopping.set()
        spent = self.account()
        self.foresight.warn(self, spent)
        return spent

    def seconds_left(self, trial: Trial) -> float | None:
        """Returns after how many seconds the trial is cut off; None for a run without such a limit.

        What is still trained for the search when only a round of trainings fits the rest is cut
        off, so that what was found is confirmed and reported within the limit. Where no training
        has finished yet there is nothing to confirm, and all of the time is the search's. A replay
        cuts off what was cut off then.
        """
        recorded = self.reader.recorded
        if recorded is not None:
            return 0.0 if trial.number in recorded.cut_off else None
        limit = self.run.budget.wall_s
        if limit is None or isinstance(self.task, Tabular):  # a table answers at once
            return None
        confirms = trial.origin != Origin.CONFIRM and self.task.is_noisy
        kept = schedule.confirm_seconds(limit, self.reader.train_s()) if confirms else 0.0
        return max(0.0, limit - kept - self.spent().wall_s)

    def progress(self) -> schedule.Progress:
        """Returns where the run stands now; renews the lease, as `spent` does."""
        return self.reader.progress(self.spent())

    def wish_view(self) -> RunView:
        """Returns what a wish is checked against."""
        return self.reader.view(self.reader.steps(), "wish", 1, self.spent())

    def accept(self, step: int, author: str, call: Mapping[str, Any]) -> Decision:
        """Stores a decision that is to be carried out next, and returns it."""
        status = DecisionStatus.ACCEPTED
        made = self.ledger.steps.add_decision(self.run.id, step, author, call, status)
        self.reader.keep_open(made)
        return made

    def accept_wish(self, wish: Wish, step: int, call: Mapping[str, Any]) -> Decision:
        """Makes a wish the decision that is to be carried out next, and returns it."""
        return self.ledger.requests.take_wish(wish.id, step, call)

    def amend(self, decision: Decision, call: Mapping[str, Any]) -> Decision:
        """Changes what the open decision will do, and returns it."""
        self.ledger.steps.amend_decision(decision.id, call)
        return replace(decision, written=dict(call))

    def close_decision(self, decision: Decision, status: DecisionStatus, outcome: str) -> None:
        """Records what became of the open decision."""
        self.ledger.steps.close_decision(decision.id, status, outcome)
        self.reader.keep_open(None)

    def note_cut_off(self, number: int) -> None:
        """Notes that a trial was cut off."""
        self.ledger.steps.mark(self.run.id, CUT_OFF, number, {})
