"""Scores one at a time, as published code computes them: the control of `bench_proxies`.

Every function makes a copy of the network for itself and its own passes over the batch, with
ordinary forward hooks and `backward`. Definitions are those of `vitruvius.tools.proxies`; the code
shares nothing with it but the taps and the two formulas of spectra.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.spaces.builders.taps import EmbeddingTap, HiddenTap
from vitruvius.tools.proxies.spectra import correlation_score, cosine_score

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Tanh, nn.Sigmoid)
EXAMPLES = 32  # of the tangent kernel

Plain = Callable[[nn.Module, Tensor, Tensor], float]


def _copy(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    return twin


def _loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(outputs.flatten(0, -2), labels.flatten(), ignore_index=-100)


def _after_backward(network: nn.Module, inputs: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    twin = _copy(network)
    _loss(twin(inputs), labels).backward()
    layers = [m for m in twin.modules() if isinstance(m, LAYERS)]
    return [(m.weight.detach(), m.weight.grad) for m in layers if m.weight.grad is not None]


def params(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(p.numel() for p in network.parameters()))


def l2(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(m.weight.norm() for m in network.modules() if isinstance(m, LAYERS)))


def grad_norm(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(g.norm() for _, g in _after_backward(network, inputs, labels)))


def snip(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum((w * g).abs().sum() for w, g in _after_backward(network, inputs, labels)))


def plain(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum((w * g).sum() for w, g in _after_backward(network, inputs, labels)))


def fisher(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, outputs = _copy(network), []

    def keep(module: nn.Module, taken: object, given: Tensor) -> None:
        given.retain_grad()
        outputs.append((module, given))

    for module in twin.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(keep)
    _loss(twin(inputs), labels).backward()
    total = 0.0
    for module, output in outputs:
        if output.grad is None:
            continue
        product = (output * output.grad).detach()
        product = product if isinstance(module, nn.Linear) else product.movedim(1, -1)
        sums = product.reshape(len(product), -1, product.shape[-1]).sum(1)
        total += float(sums.pow(2).mean(0).sum()) / 2
    return total


def activation_distance(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, kernel = _copy(network), torch.zeros(len(inputs), len(inputs), dtype=torch.float64)

    def add(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
        nonlocal kernel
        codes = (taken[0] > 0).flatten(1).float()
        kernel = kernel + codes @ codes.T + (1 - codes) @ (1 - codes).T

    for module in twin.modules():
        if isinstance(module, ACTIVATIONS):
            module.register_forward_hook(add)
    with torch.no_grad():
        twin(inputs)
    return float(torch.linalg.slogdet(kernel)[1])


def _jacobian(network: nn.Module, inputs: Tensor, noise: float) -> Tensor:
    twin, entries = _copy(network), []

    def enter(entry: Tensor) -> Tensor:
        entry = entry.detach().clone()
        if noise:
            draws = torch.randn(entry.shape, generator=torch.Generator().manual_seed(1))
            entry = entry + noise * entry.var(dim=0) * draws
        entries.append(entry.requires_grad_(True))
        return entries[0]

    taps = [module for module in twin.modules() if isinstance(module, EmbeddingTap)]
    for tap in taps:
        tap.register_forward_hook(lambda module, taken, given: enter(given))
    outputs = twin(inputs) if taps else twin(enter(inputs))
    outputs.backward(torch.ones_like(outputs))
    slope: Tensor = entries[0].grad
    return slope.flatten(1)


def jacobian_covariance(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return correlation_score(_jacobian(network, inputs, 0.0))


def jacobian_cosine(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return cosine_score(_jacobian(network, inputs, 0.0))


def large_noise_jacobian_covariance(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    clean, noisy = (correlation_score(_jacobian(network, inputs, a)) for a in (0.0, 10.0))
    return abs(clean - noisy) - 1


def large_noise_jacobian_cosine(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    clean, noisy = (cosine_score(_jacobian(network, inputs, a)) for a in (0.0, 10.0))
    return abs(clean - noisy) - 1


def more_noised_jacobian_covariance(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    scales = (0.0, 0.1, 10.0, 100.0)
    return -math.prod(correlation_score(_jacobian(network, inputs, a)) for a in scales)


def more_noised_jacobian_cosine(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    scales = (0.0, 0.1, 10.0, 100.0)
    return math.prod(cosine_score(_jacobian(network, inputs, a)) for a in scales)


def _hidden_covariance(layer: int) -> Plain:
    def score(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        twin, states = _copy(network), []
        for module in twin.modules():
            if isinstance(module, HiddenTap) and module.layer == layer:
                module.register_forward_hook(lambda module, taken, given: states.append(given))
        with torch.no_grad():
            twin(inputs)
        return correlation_score(torch.cat(states).T)

    return score


def hidden_synaptic_saliency(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, states = _copy(network), []

    def keep(module: nn.Module, taken: object, given: Tensor) -> None:
        if given.requires_grad:
            given.retain_grad()
            states.append(given)

    for module in twin.modules():
        if isinstance(module, HiddenTap):
            module.register_forward_hook(keep)
    _loss(twin(inputs), labels).backward()
    return -float(sum((s * s.grad).abs().sum() for s in states if s.grad is not None))


def grasp(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin = _copy(network)
    weights = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
    slopes = torch.autograd.grad(_loss(twin(inputs), labels), weights, allow_unused=True)
    again = torch.autograd.grad(
        _loss(twin(inputs), labels), weights, create_graph=True, allow_unused=True
    )
    pairs = [(s, a) for s, a in zip(slopes, again, strict=True) if s is not None and a is not None]
    product = torch.stack([(s * a).sum() for s, a in pairs]).sum()
    product.backward()
    return -float(sum((w * w.grad).sum() for w in weights if w.grad is not None))


def _kernel(network: nn.Module, inputs: Tensor) -> Tensor:
    """Returns the tangent kernel, by a backward pass for every example."""
    twin = _copy(network)
    for module in twin.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        twin(inputs)  # batch statistics, constants from here on
    twin.eval()
    rows = []
    for i in range(EXAMPLES):
        twin.zero_grad()
        twin(inputs[i : i + 1]).sum().backward()
        layers = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
        rows.append(torch.cat([w.grad.flatten() for w in layers if w.grad is not None]))
    gradients = torch.stack(rows)
    return gradients @ gradients.T


def ntk_condition(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    values = torch.linalg.eigvalsh(_kernel(network, inputs))
    return -float(values[-1] / values[0])


def lga(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    kernel = _kernel(network, inputs)
    few = labels[:EXAMPLES]
    equal = (few[:, None] == few[None, :]).float()
    kernel, equal = kernel - kernel.mean(), equal - equal.mean()
    return float((kernel * equal).sum() / (kernel.norm() * equal.norm()))


def synflow(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin = copy.deepcopy(network).double().eval()
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            twin.set_submodule(name, nn.Identity())
    for p in twin.parameters():
        p.data.abs_()
    taps = [module for module in twin.modules() if isinstance(module, EmbeddingTap)]
    for tap in taps:
        tap.register_forward_hook(lambda module, taken, given: torch.ones_like(given))
    outputs = twin(torch.ones_like(inputs[:1], dtype=torch.int64 if taps else torch.float64))
    outputs.sum().backward()
    weights = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
    return math.log(float(sum((w * w.grad).abs().sum() for w in weights if w.grad is not None)))


def zen(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, generator = _copy(network), torch.Generator().manual_seed(0)
    for module in twin.modules():
        if isinstance(module, LAYERS):
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    maps: list[Tensor] = []

    def keep(module: nn.Module, taken: object, given: Tensor) -> None:
        if given.dim() == 4:
            maps[:] = [given]

    for module in twin.modules():
        if not list(module.children()):
            module.register_forward_hook(keep)
    found, shape = [], (64, *inputs.shape[1:])
    first = torch.randn(shape, generator=generator)
    step = torch.randn(shape, generator=generator)
    with torch.no_grad():
        for example in (first, first + 0.01 * step):
            twin(example)
            found.append(maps[0])
    change = float((found[0] - found[1]).abs().flatten(1).sum(1).mean())
    norms = [m for m in twin.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return math.log(change) + sum(
        math.log(float(m.running_var.mean())) / 2 for m in norms if m.running_var is not None
    )


_SHARED: tuple[Plain, ...] = (
    params,
    l2,
    grad_norm,
    snip,
    plain,
    fisher,
    activation_distance,
    jacobian_covariance,
    jacobian_cosine,
    large_noise_jacobian_covariance,
    large_noise_jacobian_cosine,
    more_noised_jacobian_covariance,
    more_noised_jacobian_cosine,
    synflow,
)
FIRST_ORDER: dict[str, dict[str, Plain]] = {
    "images": {score.__name__: score for score in (*_SHARED, zen)},
    "recurrent": {
        **{score.__name__: score for score in (*_SHARED, hidden_synaptic_saliency)},
        **{f"hidden_covariance_{layer}": _hidden_covariance(layer) for layer in (1, 2, 3)},
    },
}
SECOND_ORDER: dict[str, dict[str, Plain]] = {
    "images": {score.__name__: score for score in (grasp, ntk_condition, lga)},
    "recurrent": {score.__name__: score for score in (grasp, ntk_condition)},
}
