"""Conformance suite for proxies: subclass, give the fixtures, inherit the tests."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.proxies import Proxy
from vitruvius.tools.proxies.formula import ANY_KIND

SERIES = Signature(input_shape=(1, 8), outputs=3)
PAIR = Signature(input_shape=(2,), outputs=2)


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
