"""Proxy decisions: what is asked, stored and said, whatever befalls a worker."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vitruvius.graphs.search.answers import answer_proxies
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import Score
from vitruvius.spaces.registry import load_space
from vitruvius.tools.calls.proxy import Proxy
from vitruvius.tools.training.evaluation import Failed, FailureKind, Question, Scored

SPACE = load_space("nb201")


class Scripted:
    """Answers like workers of which some are killed; notes what it was asked."""

    def __init__(self, kills: int, *, stops: asyncio.Event | None = None) -> None:
        self.asked: list[str] = []
        self.most_at_once = self.now = 0
        self._kills, self._stops = kills, stops

    async def score(self, question: Question) -> Scored:
        self.asked.append(question.architecture.text)
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if self._stops is not None and len(self.asked) > 1:
            self._stops.set()
            await asyncio.sleep(10)
        if self.asked.count(question.architecture.text) <= self._kills:
            return Failed(kind=FailureKind.FAILED, message="killed", train_s=1.0, retriable=True)
        return tuple(
            Score(proxy=name, architecture=question.architecture, value=2.0, wall_s=0.1)
            for name in question.proxies
        )


def answer(ledger: Ledger, evaluator: Scripted, count: int, stopping: asyncio.Event) -> Any:
    async def call(function: Any, *args: Any) -> Any:
        return function(*args)

    session: Any = SimpleNamespace(
        space=SPACE,
        run=SimpleNamespace(space_id="s", task_id="t", seed=0),
        ledger=ledger,
        evaluator=evaluator,
        stopping=stopping,
        call=call,
    )
    specs = [architecture.spec for architecture in SPACE.members()[:count]]  # type: ignore[index]
    asked = Proxy(architectures=specs, proxies=["snip", "params"])
    return asyncio.run(answer_proxies(session, asked))


def test_a_batch_is_asked_at_once_and_only_what_is_missing() -> None:
    with Ledger.in_memory() as ledger:
        first, second = Scripted(kills=0), Scripted(kills=0)
        told = answer(ledger, first, 3, asyncio.Event())
        assert told.count("snip 2, params 2") == 3
        assert first.most_at_once == 3
        answer(ledger, second, 5, asyncio.Event())
        assert len(second.asked) == 2


def test_a_killed_worker_is_asked_again_and_a_network_that_kills_twice_has_no_score() -> None:
    with Ledger.in_memory() as ledger:
        assert "snip 2" in answer(ledger, Scripted(kills=1), 1, asyncio.Event())
    with Ledger.in_memory() as ledger:
        killer = Scripted(kills=9)
        assert "snip -, params -" in answer(ledger, killer, 1, asyncio.Event())
        assert len(killer.asked) == 2
        [snip] = ledger.scores.of("s", "t", ["snip"], None)
        assert (snip.value, snip.note) == (None, "killed")


def test_a_stop_keeps_what_is_scored_and_leaves_the_decision_open(tmp_path: Path) -> None:
    stopping = asyncio.Event()
    with Ledger.in_memory() as ledger:
        assert answer(ledger, Scripted(kills=0, stops=stopping), 3, stopping) is None
        kept = len(ledger.scores.of("s", "t", ["snip"], None))
        again = Scripted(kills=0)
        assert answer(ledger, again, 3, asyncio.Event()) is not None
        assert len(again.asked) == 3 - kept
