"""One search through the real graph with nothing on disk: ledger, checkpoints and memory at hand.

What a person's run does, this does: the same nodes and the same ledger operations. Only the places
differ, and checkpoints are written at the end alone: nothing here outlives its process.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from langgraph.checkpoint.memory import InMemorySaver

from vitruvius.agents.analyst.analyst import Analyst
from vitruvius.agents.chairs.theorist import ModelTheorist
from vitruvius.agents.chairs.view import Architect, Theorist
from vitruvius.budget import Budget
from vitruvius.errors import ConfigError
from vitruvius.events import Event
from vitruvius.graphs.search.graph import MOST_STEPS, create_search_graph
from vitruvius.graphs.search.reader import Reader
from vitruvius.graphs.search.schedule import MODEL_BATCH
from vitruvius.graphs.search.session import Session
from vitruvius.memory.index.principle_index import PrincipleIndex
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import (
    CutRecord,
    Evidence,
    PrincipleVersion,
    Run,
    RunStatus,
    Spent,
    Trial,
)
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.settings import Policy
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule, words
from vitruvius.spaces.space import SearchSpace
from vitruvius.tasks.task import Task
from vitruvius.tools.training.evaluator import create_evaluator

DRIVER = "evals"
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What one search left in its ledger, as plain values. Picklable."""

    run: Run
    trials: list[Trial]
    cuts: list[CutRecord]  # those undone included
    evidence: list[Evidence]  # all looks
    versions: list[PrincipleVersion]  # in force at the end
    spent: Spent


def run_search(
    space: SearchSpace,
    task: Task,
    *,
    queries: int,
    seed: int,
    sources: Sequence[Source] = (),
    policy: Policy | None = None,
    chairs: tuple[Architect, Theorist] | None = None,
    cuts: Sequence[Rule] = (),
    ledger: Ledger | None = None,
) -> Searched:
    """Searches and returns what was found. Leaves no file behind; needs no running event loop.

    Args:
        space: to search.
        task: one that answers at once; others would start worker processes.
        queries: trials of the budget, confirmations of a noisy task included.
        seed: of every random choice.
        sources: other runs' trials that may guide this one.
        policy: settings of the graph; None: the defaults of a run.
        chairs: architect and theorist; None: the analyst in both.
        cuts: rules that keep the region small from the first trial on, as principles that were
            recalled and trusted enough for provisional cuts. They may be wrong: that is what they
            are for.
        ledger: to search in, whose earlier runs are remembered; None: an empty one in memory.

    Raises:
        ToolError: a cut that does not fit the space, or leaves too little of it.
    """
    if ledger is None:
        with Ledger.in_memory() as own:
            return run_search(
                space, task, queries=queries, seed=seed, sources=sources, policy=policy,
                chairs=chairs, cuts=cuts, ledger=own,
            )  # fmt: skip
    run = _create(ledger, space, task, queries, seed)
    if cuts:
        _put_in_force(ledger, run, space, cuts)
    with tempfile.TemporaryDirectory(prefix="vitruvius-") as folder:
        architect, theorist = chairs or (_ANALYST, _ANALYST)
        evaluator = create_evaluator(task, space, run_dir=Path(folder))
        is_analyst = isinstance(architect, Analyst)
        reader = Reader(
            ledger=ledger,
            run=run,
            space=space,
            task=task,
            shows_proxies=not is_analyst or isinstance(theorist, ModelTheorist),
            sources=tuple(sources),
        )
        session = Session(
            reader=reader,
            index=PrincipleIndex(None, ledger),
            run_dir=Path(folder),
            evaluator=evaluator,
            architect=architect,
            theorist=theorist,
            policy=policy or Policy(),
            driver=DRIVER,
            batch=evaluator.slots if is_analyst else MODEL_BATCH,
            asks=False,
            listener=_ignore,
            writes_page=False,
        )
        with asyncio.Runner(loop_factory=_InlineLoop) as runner, _uncollected():
            runner.run(_drive(session))
    ledger.runs.release(run.id, DRIVER, RunStatus.DONE)
    return Searched(
        run=ledger.runs.get(run.id),
        trials=ledger.trials.of(run.id),
        cuts=ledger.cuts.of(run.id),
        evidence=ledger.evidence.of(run.id),
        versions=ledger.principles.current(run.id),
        spent=ledger.steps.spent(run.id),
    )


_ANALYST = Analyst()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keeps Python from looking for cyclic garbage: 7 % of a search, which makes little of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _InlineLoop(asyncio.SelectorEventLoop):
    """An event loop without threads: what blocks runs at once, since nobody else waits here.

    Handing a statement on a database in memory to a thread costs more than the statement.
    """

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Returns a future that is done."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised again where the future is awaited
            future.set_exception(error)
        return future


def _ignore(event: Event) -> None:
    """Listens to nothing."""


async def _drive(session: Session) -> None:
    graph = create_search_graph(InMemorySaver())
    config: Any = {
        "configurable": {"thread_id": session.run.id},
        "recursion_limit": MOST_STEPS,
    }
    await graph.ainvoke({"run_id": session.run.id}, config, context=session, durability="exit")
    await session.evaluator.aclose()


def _create(ledger: Ledger, space: SearchSpace, task: Task, queries: int, seed: int) -> Run:
    run = ledger.runs.create(
        space_ref=space.ref,
        space_id=space.id,
        space_name=space.name,
        task_ref=task.ref,
        task_id=task.id,
        task_name=task.name,
        seed=seed,
        budget=Budget(trials=queries),
        settings={},
        sources={},
        metric=asdict(task.metric),
    )
    ledger.runs.claim(run.id, DRIVER)
    return run


def _put_in_force(ledger: Ledger, run: Run, space: SearchSpace, rules: Sequence[Rule]) -> None:
    """Adopts the rules as principles of full trust and cuts by each; the memory is not asked."""
    told = [
        {
            "name": f"P{number}",
            "statement": f"Keep to {words(rule)}"[:600],
            "rule": rule.model_dump(mode="json", exclude_none=True),
            "space": space.name,
            "task": run.task_name,
            "author": DRIVER,
            "rationale": "put in force before the first trial",
        }
        for number, rule in enumerate(rules, start=1)
    ]
    made = ledger.principles.take_in(
        {"format": "vitruvius-principles", "version": 1, "principles": told}
    )
    if len(made) < len(rules):
        raise ConfigError("expected different rules that the ledger does not hold yet")
    region = Region(space)
    for number, version in enumerate(made, start=1):
        reason = "the word of earlier runs"
        region = region.with_cut(
            Cut(number=number, rule=version.rule, principle=version.name, reason=reason)
        )
        ledger.principles.adopt(run.id, version.name, trust=1.0, source_effect=None, similarity=1.0)
        ledger.cuts.add(
            run.id,
            0,
            rule=version.rule,
            principle=version.name,
            reason=reason,
            provisional=True,
            kept=region.fraction(),
            top_loss_high=0.0,
        )
    ledger.steps.mark(run.id, "recalled", 0, {"adopted": len(made)})
