"""Conformance suites of proxies and evaluators: subclass, give the fixtures, inherit the tests."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.proxies import Proxy
from vitruvius.tools.proxies.formula import ANY_KIND
from vitruvius.tools.training.evaluation import (
    Evaluator,
    Failed,
    FailureKind,
    Outcome,
    Request,
    Trained,
)

SERIES = Signature(input_shape=(1, 8), outputs=3)
PAIR = Signature(input_shape=(2,), outputs=2)

Make = Callable[[], Evaluator]


class ProxyContract:
    """What every proxy promises. `probe` has a network with dropout, batch norm and mixed modes."""

    @pytest.fixture
    def proxy(self) -> Proxy:
        raise NotImplementedError

    @pytest.fixture
    def probe(self) -> Iterator[Probe]:
        state = torch.get_rng_state()
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv1d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm1d(4),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(32, 3),
        )
        network[1].eval()  # a mode of its own, to be kept
        inputs, labels = torch.randn(8, 1, 8), torch.arange(8) % 3
        (network(inputs).sum()).backward()  # gradients of the owner's, to be kept
        yield Probe(network=network, signature=SERIES, batch=Batch(inputs=inputs, labels=labels))
        torch.set_rng_state(state)

    def test_it_says_what_it_is(self, proxy: Proxy) -> None:
        assert proxy.name.isidentifier()
        assert len(proxy.description) > 10

    def test_it_says_where_it_applies(self, proxy: Proxy) -> None:
        assert proxy.applies_to
        assert proxy.applies_to <= ANY_KIND

    def test_it_gives_a_finite_number(self, proxy: Proxy, probe: Probe) -> None:
        assert math.isfinite(proxy(probe))

    def test_it_leaves_the_network_as_it_was(self, proxy: Proxy, probe: Probe) -> None:
        network = probe.network
        before = copy.deepcopy(network.state_dict())
        gradients = [parameter.grad.clone() for parameter in network.parameters()]  # type: ignore[union-attr]  # made by the fixture
        modes = [module.training for module in network.modules()]
        hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()]
        proxy(probe)
        after = network.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert all(before[name].dtype == after[name].dtype for name in before)
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            assert parameter.grad is not None
            assert torch.equal(parameter.grad, gradient)
        assert [module.training for module in network.modules()] == modes
        assert [
            (len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()
        ] == hooks

    def test_it_leaves_the_batch_as_it_was(self, proxy: Proxy, probe: Probe) -> None:
        assert probe.batch is not None
        assert probe.batch.labels is not None
        inputs, labels = probe.batch.inputs.clone(), probe.batch.labels.clone()
        proxy(probe)
        assert torch.equal(probe.batch.inputs, inputs)
        assert torch.equal(probe.batch.labels, labels)

    def test_it_leaves_the_global_generator_alone(self, proxy: Proxy, probe: Probe) -> None:
        before = torch.get_rng_state()
        proxy(probe)
        assert torch.equal(torch.get_rng_state(), before)

    def test_it_leaves_the_network_alone_where_it_raises(self, proxy: Proxy) -> None:
        network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(5, 2)).train()
        batch = Batch(inputs=torch.zeros(3, 2), labels=torch.zeros(3, dtype=torch.int64))
        before = torch.get_rng_state()
        try:
            proxy(Probe(network=network, signature=PAIR, batch=batch))
        except (RuntimeError, DoesNotApply):
            assert network.training
            assert all(not module._forward_hooks for module in network.modules())
            assert torch.equal(torch.get_rng_state(), before)

    def test_it_gives_the_same_number_again(self, proxy: Proxy, probe: Probe) -> None:
        first = proxy(probe)
        torch.rand(5)  # the state of the global generator must not matter
        again = Probe(network=probe.network, signature=probe.signature, batch=probe.batch)
        assert proxy(again) == first

    def test_it_says_so_where_it_needs_data_and_has_none(self, proxy: Proxy, probe: Probe) -> None:
        blind = Probe(network=probe.network, signature=probe.signature)
        if not proxy.needs_data:
            assert math.isfinite(proxy(blind))
            return
        with pytest.raises(DoesNotApply, match="data"):
            proxy(blind)


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
