import math

import numpy as np
import pytest
import torch
from tapped import VOCABULARY, Recurrent
from torch import nn

from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.passes.scoring import measure, plan
from vitruvius.tools.proxies import PROXIES

TOKENS = Signature(input_shape=(6,), outputs=VOCABULARY, vocabulary=VOCABULARY, per_token=True)


def network(**options: int) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(**options)


def batch(examples: int = 8) -> Batch:
    tokens = torch.randint(VOCABULARY, (examples, 6), generator=torch.Generator().manual_seed(1))
    return Batch(inputs=tokens, labels=tokens.roll(-1, dims=1))


def probe_of(net: nn.Module, examples: Batch | None = None) -> Probe:
    return Probe(network=net, signature=TOKENS, batch=examples or batch())


def by_hand(states: np.ndarray) -> float:
    """Returns S by numpy's correlations and general eigenvalues, from states [H, observations]."""
    values = np.linalg.eigvals(np.corrcoef(states)).real
    return float(-(np.log(values + 1e-5) + 1 / (values + 1e-5)).sum())


def test_two_units_have_a_closed_form() -> None:
    net = network(hidden=2, layers=1, width=3)
    cell = net.cells[0]
    examples = batch()
    x = net.embedding.weight.detach().numpy()[examples.inputs.numpy()]  # [B, T, 3]
    weights = [p.detach().numpy() for p in (cell.x.weight, cell.x.bias, cell.h.weight)]
    state, entering = np.zeros((8, 2)), []
    for t in range(6):
        entering.append(state)
        state = np.tanh(x[:, t] @ weights[0].T + weights[1] + state @ weights[2].T)
    observed = np.concatenate(entering).T  # the initial state is there, the final one is not
    one_minus, correlation = 1e-5 + 1, np.corrcoef(observed)[0, 1]
    plus, minus = one_minus + correlation, one_minus - correlation
    closed = -(math.log(plus) + 1 / plus + math.log(minus) + 1 / minus)
    found = PROXIES["hidden_covariance_1"](probe_of(net, examples))
    assert found == pytest.approx(closed, rel=1e-4)
    assert found == pytest.approx(by_hand(observed), rel=1e-4)


def test_order_of_units_and_of_examples_does_not_matter() -> None:
    net, examples = network(), batch()
    names = ("hidden_covariance_1", "hidden_covariance_2", "hidden_synaptic_saliency", "snip")
    before = [PROXIES[name](probe_of(net, examples)) for name in names]
    order = torch.randperm(8)
    cell, above = net.cells[0], net.cells[1]
    with torch.no_grad():
        for weight in (cell.x.weight, cell.x.bias, cell.h.weight):
            weight.copy_(weight[order])
        cell.h.weight.copy_(cell.h.weight[:, order])
        above.x.weight.copy_(above.x.weight[:, order])
    assert examples.labels is not None
    turned = torch.randperm(8)
    other = Batch(inputs=examples.inputs[turned], labels=examples.labels[turned])
    after = [PROXIES[name](probe_of(net, other)) for name in names]
    assert after == pytest.approx(before, rel=1e-3)


def test_a_pass_for_the_first_layer_runs_no_other() -> None:
    net, called = network(), []
    for name in ("cells.1", "decoder"):
        module = net.get_submodule(name)
        module.register_forward_hook(lambda m, taken, given, name=name: called.append(name))
    first = PROXIES["hidden_covariance_1"](probe_of(net))
    assert called == []
    second = PROXIES["hidden_covariance_2"](probe_of(net))
    assert set(called) == {"cells.1"}
    planned = plan(net, TOKENS, batch(), ["hidden_covariance_1", "hidden_covariance_2", "snip"])
    names = ("hidden_covariance_1", "hidden_covariance_2")
    assert [PROXIES[name](planned) for name in names] == pytest.approx([first, second], rel=1e-5)
    assert "decoder" in called


def test_a_dead_unit_costs_a_direction_and_is_no_number_as_published() -> None:
    net = network()
    whole = PROXIES["hidden_covariance_1"](probe_of(net))
    with torch.no_grad():
        net.cells[0].x.weight[0] = 0.0
        net.cells[0].x.bias[0] = 0.0
        net.cells[0].h.weight[0] = 0.0
    dead = PROXIES["hidden_covariance_1"](probe_of(net))
    assert dead < whole - 9e4
    value, note = measure(PROXIES["hidden_covariance_1_published"], probe_of(net))
    assert value is None
    assert note.startswith("degenerate")


def test_states_that_explode_are_degenerate() -> None:
    net = network(layers=1)
    net.cells[0].activation = nn.Identity()
    with torch.no_grad():
        net.cells[0].h.weight.mul_(1e20)
    assert measure(PROXIES["hidden_covariance_1"], probe_of(net))[1] == (
        "degenerate: the value is nan"
    )


def test_a_layer_that_is_not_there_does_not_apply() -> None:
    with pytest.raises(DoesNotApply, match="at least 3 layers"):
        PROXIES["hidden_covariance_3"](probe_of(network()))
    flat = nn.Sequential(nn.Embedding(VOCABULARY, 4), nn.Linear(4, VOCABULARY))
    with pytest.raises(DoesNotApply, match="recurrent"):
        PROXIES["hidden_covariance_1"](probe_of(flat))


def test_published_saliency_leaves_out_the_first_input_of_a_node() -> None:
    net = network()
    twin = network().eval()
    seen: list[torch.Tensor] = []
    twin.representation.register_forward_hook(lambda m, taken, given: seen.append(given))
    twin(batch().inputs)
    seen[0].sum().backward()
    chosen = [cell.h.weight for cell in twin.cells] + [twin.embedding.weight]
    expected = -float(sum((w * w.grad).detach().abs().sum() for w in chosen))
    found = PROXIES["synaptic_saliency_published"](probe_of(net))
    assert found == pytest.approx(expected, rel=1e-5)


def test_published_saliency_of_hidden_states_is_of_one_pass_without_noise() -> None:
    twin = network().eval()
    states: list[torch.Tensor] = []
    last: list[torch.Tensor] = []

    def keep(module: nn.Module, taken: object, given: torch.Tensor) -> None:
        if given.requires_grad:  # the initial state is zero, and adds nothing
            given.retain_grad()
            states.append(given)

    for cell in twin.cells:
        cell.tap.register_forward_hook(keep)
    twin.representation.register_forward_hook(lambda m, taken, given: last.append(given))
    twin(batch().inputs)
    last[0].sum().backward()
    expected = -float(sum((s * s.grad).detach().abs().sum() for s in states))
    found = PROXIES["hidden_synaptic_saliency_published"](probe_of(network()))
    assert found == pytest.approx(expected, rel=1e-5)
