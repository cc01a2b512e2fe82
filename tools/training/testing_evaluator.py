"""What every evaluator promises, as tests: subclass, give the fixtures, inherit the checks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator

import pytest

from vitruvius.tools.training.evaluation import (
    Evaluator,
    Failed,
    FailureKind,
    Outcome,
    Request,
    Trained,
)

Make = Callable[[], Evaluator]


class EvaluatorContract:
    """Needs the fixtures `make`, `requests` and `impossible`.

    `make` creates an evaluator with empty folders of its own; `requests` are three that succeed,
    with different result ids; `impossible` is one that cannot succeed, whatever the seed.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def make(cls) -> Make:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def requests(cls) -> list[Request]:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def impossible(cls) -> Request:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls) -> Iterator[asyncio.Runner]:
        """One event loop for the class, so that warm workers are shared."""
        with asyncio.Runner() as runner:
            yield runner

    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls, make: Make, runner: asyncio.Runner) -> Iterator[Evaluator]:
        evaluator = make()
        yield evaluator
        runner.run(evaluator.aclose())

    def test_there_is_at_least_one_slot(self, evaluator: Evaluator) -> None:
        assert evaluator.slots >= 1

    def test_an_outcome_is_finite_and_complete(
        self, evaluator: Evaluator, requests: list[Request], runner: asyncio.Runner
    ) -> None:
        outcome = runner.run(evaluator.evaluate(requests[0]))
        assert isinstance(outcome, Trained), outcome
        assert math.isfinite(outcome.value)
        assert outcome.test is None or math.isfinite(outcome.test)
        assert outcome.train_s >= 0
        assert not outcome.curve or outcome.curve[-1] == outcome.value
        if outcome.weights is not None:
            assert outcome.weights.is_file()

    def test_requests_at_once_are_answered_each_by_its_own_outcome(
        self, evaluator: Evaluator, make: Make, requests: list[Request], runner: asyncio.Runner
    ) -> None:
        async def together() -> list[Outcome]:
            return await asyncio.gather(*(evaluator.evaluate(each) for each in requests))

        async def alone() -> list[Outcome]:
            other = make()
            try:
                return [await other.evaluate(each) for each in requests]
            finally:
                await other.aclose()

        assert _numbers(runner.run(together())) == _numbers(runner.run(alone()))

    def test_what_cannot_succeed_fails_with_a_message(
        self, evaluator: Evaluator, impossible: Request, runner: asyncio.Runner
    ) -> None:
        outcome = runner.run(evaluator.evaluate(impossible))
        assert isinstance(outcome, Failed)
        assert outcome.message
        assert not outcome.retriable
        assert outcome.kind is not FailureKind.CANCELLED

    def test_a_failure_spoils_nothing_that_comes_after(
        self,
        evaluator: Evaluator,
        impossible: Request,
        requests: list[Request],
        runner: asyncio.Runner,
    ) -> None:
        runner.run(evaluator.evaluate(impossible))
        assert isinstance(runner.run(evaluator.evaluate(requests[1])), Trained)

    def test_after_closing_requests_end_as_cancelled(
        self, make: Make, requests: list[Request], runner: asyncio.Runner
    ) -> None:
        async def close_then_ask() -> Outcome:
            evaluator = make()
            await evaluator.aclose()
            await evaluator.aclose()
            return await evaluator.evaluate(requests[0])

        outcome = runner.run(close_then_ask())
        assert isinstance(outcome, Failed)
        assert outcome.kind is FailureKind.CANCELLED
        assert outcome.retriable


def _numbers(outcomes: list[Outcome]) -> list[tuple[float, float | None, tuple[float, ...]]]:
    assert all(isinstance(outcome, Trained) for outcome in outcomes), outcomes
    return [(o.value, o.test, o.curve) for o in outcomes if isinstance(o, Trained)]
