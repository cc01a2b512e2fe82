import math

import numpy as np
import pytest
import torch
from tapped import VOCABULARY, Transformer

from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature
from vitruvius.tools.passes.forward_backward import batch_loss
from vitruvius.tools.passes.hooks import token_agreements
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.proxies import PROXIES

TOKENS = Signature(input_shape=(6,), outputs=VOCABULARY, vocabulary=VOCABULARY, per_token=True)
FROM_ONES = [
    "synaptic_saliency_published",
    "synaptic_diversity_published",
    "attention_importance_published",
]


def network(**options: object) -> Transformer:
    torch.manual_seed(0)
    return Transformer(**options)  # type: ignore[arg-type]


def batch(examples: int = 4) -> Batch:
    tokens = torch.randint(VOCABULARY, (examples, 6), generator=torch.Generator().manual_seed(1))
    return Batch(inputs=tokens, labels=tokens.roll(-1, dims=1))


def probe_of(net: Transformer, examples: Batch | None = None) -> Probe:
    return Probe(network=net, signature=TOKENS, batch=examples or batch())


def blind(net: Transformer) -> Transformer:
    """Makes all attention weights equal."""
    for block in net.blocks:
        torch.nn.init.zeros_(block.queries.weight)
        torch.nn.init.zeros_(block.queries.bias)
    return net


def test_confidence_of_equal_weights_is_one_over_the_tokens_seen() -> None:
    probe = probe_of(blind(network()))
    assert PROXIES["attention_confidence"](probe) == pytest.approx(1 / 6)
    assert PROXIES["softmax_confidence"](probe) == pytest.approx(0, abs=1e-6)
    assert PROXIES["softmax_confidence_published"](probe) == pytest.approx(2 / 6)
    assert PROXIES["softmax_confidence_published_mean"](probe) == pytest.approx(1 / 6)


def test_a_causal_network_is_not_confident_for_want_of_choice() -> None:
    probe = probe_of(blind(network(causal=True)))
    harmonic = sum(1 / n for n in range(1, 7)) / 6
    assert PROXIES["attention_confidence"](probe) == pytest.approx(harmonic)
    assert PROXIES["softmax_confidence"](probe) == pytest.approx(0, abs=1e-6)


def test_a_single_token_seen_is_full_confidence() -> None:
    net = network()
    with torch.no_grad():
        for block in net.blocks:
            block.queries.weight.mul_(1e4)
    different = torch.stack([torch.randperm(VOCABULARY)[:6] for _ in range(4)])
    probe = probe_of(net, Batch(inputs=different, labels=None))
    assert PROXIES["softmax_confidence"](probe) == pytest.approx(1, abs=0.01)


def test_head_importance_is_the_slope_of_the_loss_in_the_heads_gate() -> None:
    net, examples = network().double(), batch(1)
    expected = 0.0
    for block in net.blocks:
        for head in range(2):
            gate = torch.ones(1, 2, 1, 1, dtype=torch.float64, requires_grad=True)
            handle = block.head.register_forward_hook(lambda m, taken, given, g=gate: given * g)
            net.eval()
            assert examples.labels is not None
            loss = batch_loss(net(examples.inputs), examples.labels)
            expected += abs(float(torch.autograd.grad(loss, gate)[0][0, head]))
            handle.remove()
    found = PROXIES["head_importance"](probe_of(net, examples))
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", FROM_ONES)
def test_published_gradients_behind_a_normalisation_are_rounding_noise(name: str) -> None:
    single, double = (PROXIES[name](probe_of(n)) for n in (network(), network().double()))
    assert 0 <= double < single * 1e-5


@pytest.mark.parametrize("name", ["synaptic_diversity", "snip", "head_importance", "synflow"])
def test_corrected_gradients_are_not(name: str) -> None:
    single, double = (PROXIES[name](probe_of(n)) for n in (network(), network().double()))
    assert double == pytest.approx(single, rel=1e-3)
    assert abs(single) > 1e-3


def test_the_published_jacobian_is_noise_and_the_corrected_one_is_not() -> None:
    single, double = (probe_of(n) for n in (network(), network().double()))
    ones = [float(p.jacobian("targets").entry.abs().max()) for p in (single, double)]
    outputs = [float(p.jacobian("outputs").entry.abs().max()) for p in (single, double)]
    assert ones[1] < ones[0] * 1e-5
    assert outputs[0] == pytest.approx(outputs[1], rel=1e-3)
    found = [PROXIES["jacobian_covariance"](probe) for probe in (single, double)]
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_mean_is_the_sum_by_the_number_of_layers() -> None:
    probe = probe_of(network())
    for name, layers in (
        ("attention_confidence_published", 6),
        ("attention_importance_published", 6),
        ("synaptic_diversity_published", 8),
        ("synaptic_saliency_published", 4),
        ("softmax_confidence_published", 2),
        ("token_activation_distance_published", 2),
    ):
        whole, mean = PROXIES[name](probe), PROXIES[f"{name}_mean"](probe)
        assert mean == pytest.approx(whole / layers), name


def test_published_token_distance_is_the_sum_of_the_kernel() -> None:
    probe = probe_of(network())
    total = 0.0
    for call in probe.record.activations:
        codes = (call.given[0] > 0).double()
        total += float((codes @ codes.T + (1 - codes) @ (1 - codes).T).sum())
    assert PROXIES["token_activation_distance_published"](probe) == pytest.approx(total)


def test_the_words_head_takes_no_part_in_published_token_distance() -> None:
    space = load_space("flexibert:scale=8")
    assert isinstance(space, Builder)
    torch.manual_seed(0)
    network = space.build(space.sample(np.random.default_rng(0)), TOKENS)
    probe = Probe(network=network, signature=TOKENS, batch=batch())
    *feed_forward, head = probe.record.activations
    assert head.module is probe.graph.twin.get_submodule("head.activation")
    expected = token_agreements(feed_forward)
    assert PROXIES["token_activation_distance_published"](probe) == expected
    mean = PROXIES["token_activation_distance_published_mean"](probe)
    assert mean == pytest.approx(expected / len(feed_forward))


def test_other_networks_are_told_what_is_missing() -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    examples = Batch(inputs=torch.randn(4, 3), labels=torch.tensor([0, 1, 0, 1]))
    signature = Signature(input_shape=(3,), outputs=2)
    probe = Probe(network=plain, signature=signature, batch=examples)
    for name in ("attention_confidence", "head_importance", "synaptic_diversity"):
        with pytest.raises(DoesNotApply, match="needs a transformer"):
            PROXIES[name](probe)
    assert math.isfinite(PROXIES["depth"](probe))
