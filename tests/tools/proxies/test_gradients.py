import math

import numpy as np
import pytest
import torch
from tapped import VOCABULARY, Recurrent
from torch import nn
from torch.nn import functional

from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.example_gradients import Of
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.passes.scoring import measure
from vitruvius.tools.proxies import PROXIES
from vitruvius.tools.proxies.spectra import correlation_score, cosine_score

IMAGE = Signature(input_shape=(2, 6, 6), outputs=3)


def probe_of(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None = None) -> Probe:
    labels = torch.arange(len(inputs)) % 3 if labels is None else labels
    signature = Signature(input_shape=tuple(inputs.shape[1:]), outputs=3)
    return Probe(network=network, signature=signature, batch=Batch(inputs=inputs, labels=labels))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def test_fisher_of_a_linear_layer_has_a_closed_form() -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(4, 3), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 0, 1])
    logits = layer(inputs).detach()
    slope = (logits.softmax(1) - functional.one_hot(labels, 3)) / 5
    expected = float((logits * slope).square().mean(0).sum() / 2)
    assert PROXIES["fisher"](probe_of(layer, inputs, labels)) == pytest.approx(expected, rel=1e-5)


def test_plain_and_l2_of_a_linear_layer_have_closed_forms() -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(4, 3, bias=False), torch.randn(5, 4)
    labels = torch.tensor([0, 1, 2, 0, 1])
    logits = layer(inputs).detach()
    slope = (logits.softmax(1) - functional.one_hot(labels, 3)) / 5
    probe = probe_of(layer, inputs, labels)
    assert PROXIES["plain"](probe) == pytest.approx(float((logits * slope).sum()), rel=1e-4)
    assert PROXIES["l2"](probe) == pytest.approx(float(layer.weight.detach().norm()))


def test_grasp_is_minus_the_weights_times_hessian_times_gradient() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(6, 4)
    labels = torch.arange(6) % 3
    first, second = (network[i].weight.detach() for i in (0, 2))

    def loss(flat: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(inputs @ flat[:20].view(5, 4).T + network[0].bias.detach())
        logits = hidden @ flat[20:].view(3, 5).T + network[2].bias.detach()
        return functional.cross_entropy(logits, labels)

    flat = torch.cat([first.flatten(), second.flatten()]).requires_grad_()
    slope = torch.autograd.grad(loss(flat), flat)[0]
    product = torch.autograd.functional.hessian(loss, flat) @ slope
    expected = -float((flat * product).detach().sum())
    assert PROXIES["grasp"](probe_of(network, inputs, labels)) == pytest.approx(expected, rel=1e-4)


def test_the_tangent_kernel_of_a_linear_layer_is_that_of_its_inputs() -> None:
    torch.manual_seed(0)
    layer, inputs = nn.Linear(4, 3), torch.randn(3, 4)
    probe = probe_of(layer, inputs)
    expected = 3 * (inputs @ inputs.T)  # three outputs with the same gradient
    assert probe.kernel.numpy() == pytest.approx(expected.double().numpy(), rel=1e-4)
    values = np.linalg.eigvalsh(expected.numpy())
    found = PROXIES["ntk_condition"](probe)
    assert found == pytest.approx(-values[-1] / values[0], rel=1e-3)
    equal = PROXIES["ntk_condition"](probe_of(layer, torch.eye(4)))
    assert equal == pytest.approx(-1.0)


def test_equal_examples_make_the_kernel_singular() -> None:
    value, note = measure(PROXIES["ntk_condition"], probe_of(nn.Linear(4, 3), torch.ones(3, 4)))
    assert value is None
    assert note == "degenerate: the value is -inf"


@pytest.mark.parametrize("kind", ["images", "tokens"])
def test_the_tangent_kernel_agrees_with_a_pass_for_every_example(kind: str) -> None:
    network: nn.Module
    if kind == "images":
        network, inputs = convolutions(), torch.randn(5, 2, 6, 6)
        probe = probe_of(network, inputs)
        network[1].momentum = 1.0  # type: ignore[union-attr, assignment]
        network.train()(inputs)  # the kernel's constants are the batch's statistics
        variance = network[1].running_var  # type: ignore[index]
        assert isinstance(variance, torch.Tensor)
    else:
        torch.manual_seed(0)
        network, inputs = Recurrent(), torch.randint(VOCABULARY, (5, 6))
        signature = Signature(
            input_shape=(6,), outputs=VOCABULARY, vocabulary=VOCABULARY, per_token=True
        )
        probe = Probe(network=network, signature=signature, batch=Batch(inputs=inputs, labels=None))
    network.eval()
    rows = []
    for example in inputs:
        network.zero_grad()
        network(example[None]).sum().backward()
        layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        rows.append(torch.cat([m.weight.grad.flatten() for m in layers]))  # type: ignore[union-attr]
    gradients = torch.stack(rows).double()
    assert probe.kernel.numpy() == pytest.approx((gradients @ gradients.T).numpy(), rel=1e-3)


def test_gradients_that_are_alike_where_labels_are_align_fully() -> None:
    torch.manual_seed(0)
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    probe = probe_of(nn.Linear(4, 3), torch.eye(4)[classes], classes)
    assert PROXIES["lga"](probe) == pytest.approx(1.0)
    with pytest.raises(DoesNotApply, match="different labels"):
        PROXIES["lga"](probe_of(nn.Linear(4, 3), torch.eye(4), torch.zeros(4, dtype=torch.int64)))


def test_input_gradients_of_a_linear_layer_are_all_the_same() -> None:
    torch.manual_seed(0)
    probe = probe_of(nn.Linear(4, 3), torch.randn(5, 4))
    assert PROXIES["jacobian_cosine"](probe) == pytest.approx(0.5, abs=1e-6)
    lost = -4e5 - 4 * math.log(1e-5) - math.log(5) - 1 / 5
    assert PROXIES["jacobian_covariance"](probe) == pytest.approx(lost, rel=1e-3)
    assert PROXIES["large_noise_jacobian_cosine"](probe) == pytest.approx(-1.0)


@pytest.mark.parametrize("ending", ["", "_published"])
def test_noise_that_changes_little_is_meant_well_of_covariances_and_ill_of_cosines(
    ending: str,
) -> None:
    torch.manual_seed(0)
    network, tokens = Recurrent(), torch.randint(VOCABULARY, (5, 6))
    signature = Signature(
        input_shape=(6,), outputs=VOCABULARY, vocabulary=VOCABULARY, per_token=True
    )
    probe = Probe(network=network, signature=signature, batch=Batch(inputs=tokens, labels=None))
    of: Of = "targets" if ending else "outputs"
    clean, noised = (probe.jacobian(of, a).entry.flatten(1) for a in (0.0, 10.0))
    apart = abs(correlation_score(clean) - correlation_score(noised))
    found = PROXIES[f"large_noise_jacobian_covariance{ending}"](probe)
    assert found == pytest.approx(1 - apart)
    apart = abs(cosine_score(clean) - cosine_score(noised))
    assert apart > 0
    found = PROXIES[f"large_noise_jacobian_cosine{ending}"](probe)
    assert found == pytest.approx(apart - 1)


def test_order_of_examples_does_not_matter() -> None:
    inputs, labels = torch.randn(9, 2, 6, 6), torch.arange(9) % 3
    order = torch.randperm(9)
    names = ("naswot", "snip", "fisher", "grasp", "jacobian_covariance", "ntk_condition", "lga")
    probes = (
        probe_of(convolutions(), inputs, labels),
        probe_of(convolutions(), inputs[order], labels[order]),
    )
    first, second = ([PROXIES[name](probe) for name in names] for probe in probes)
    assert first == pytest.approx(second, rel=1e-3)


def test_float32_is_exact_enough() -> None:
    inputs = torch.randn(9, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    single, double = (
        probe_of(convolutions(), inputs),
        probe_of(convolutions().double(), inputs.double()),
    )
    for name in ("naswot", "snip", "fisher", "grasp", "jacobian_covariance", "lga", "synflow"):
        assert PROXIES[name](single) == pytest.approx(PROXIES[name](double), rel=1e-3), name


def test_depth_is_that_of_the_longest_path() -> None:
    class Added(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.body = nn.Sequential(*layers)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.body(x)

    inputs = torch.randn(2, 4)
    flat = nn.Sequential(nn.Linear(4, 4), Added(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))
    assert PROXIES["depth"](probe_of(flat, inputs)) == 3
    assert PROXIES["depth"](probe_of(convolutions(), torch.randn(2, 2, 6, 6))) == 3
    assert PROXIES["depth"](probe_of(nn.Flatten(), inputs)) == 0
    signature = Signature(input_shape=(6,), outputs=3, vocabulary=VOCABULARY)
    deep = Probe(network=Recurrent(layers=3, outputs=3), signature=signature)
    assert PROXIES["depth"](deep) == 4  # a weight counts once, however many steps


def test_zen_draws_its_own_weights() -> None:
    network = convolutions()
    before = PROXIES["zen"](Probe(network=network, signature=IMAGE))
    for parameter in network.parameters():
        parameter.data.mul_(3)
    network[1].reset_parameters()  # type: ignore[union-attr, operator]
    assert PROXIES["zen"](Probe(network=network, signature=IMAGE)) == pytest.approx(before)


def test_a_score_beyond_all_bounds_is_degenerate_and_ranks_below_all_others() -> None:
    layers = [nn.Linear(4, 4, bias=False) for _ in range(12)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1e3)
    network = nn.Sequential(*layers, nn.Linear(4, 3))
    value, note = measure(PROXIES["snip"], probe_of(network, torch.randn(3, 4) * 1e3))
    assert value is None
    assert note.startswith("degenerate: the value is")


def test_a_tangent_kernel_that_is_not_finite_is_degenerate() -> None:
    inputs = torch.randn(4, 4)
    inputs[2] = math.inf
    value, note = measure(PROXIES["ntk_condition"], probe_of(nn.Linear(4, 3), inputs))
    assert value is None
    assert note == "degenerate: the value is nan"
