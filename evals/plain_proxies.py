"""Scores one at a time, as published code computes them: the control of `bench_proxies`.

Every function makes a copy of the network for itself and its own passes over the batch, with
ordinary forward hooks and `backward`. Definitions are those of `vitruvius.tools.proxies`; the code
shares nothing with it but the taps and the two formulas of spectra.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import backward
from torch.nn import functional

from vitruvius.spaces.builders.taps import EmbeddingTap, HiddenTap, RepresentationTap
from vitruvius.tools.proxies.spectra import correlation_score, cosine_score

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.Tanh, nn.Sigmoid)
EXAMPLES = 32  # of the tangent kernel

Plain = Callable[[nn.Module, Tensor, Tensor], float]


def _copy(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():  # a fresh network has batch statistics only, no running ones
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    return twin


def _listen(
    twin: nn.Module, kinds: type[nn.Module] | tuple[type[nn.Module], ...], hook: Callable[..., Any]
) -> int:
    found = [module for module in twin.modules() if isinstance(module, kinds)]
    for module in found:
        module.register_forward_hook(hook)
    return len(found)


def _loss(outputs: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(outputs.flatten(0, -2), labels.flatten(), ignore_index=-100)


def _after_backward(
    network: nn.Module, inputs: Tensor, labels: Tensor
) -> list[tuple[Tensor, Tensor]]:
    twin = _copy(network)
    backward(_loss(twin(inputs), labels))
    layers = [m for m in twin.modules() if isinstance(m, LAYERS)]
    return [(m.weight.detach(), m.weight.grad) for m in layers if m.weight.grad is not None]


def _params(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(p.numel() for p in network.parameters()))


def _l2(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(m.weight.detach().norm() for m in network.modules() if isinstance(m, LAYERS)))


def _grad_norm(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum(g.norm() for _, g in _after_backward(network, inputs, labels)))


def _snip(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum((w * g).abs().sum() for w, g in _after_backward(network, inputs, labels)))


def _plain(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return float(sum((w * g).sum() for w, g in _after_backward(network, inputs, labels)))


def _fisher(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, outputs = _copy(network), []

    def keep(module: nn.Module, taken: object, given: Tensor) -> None:
        given.retain_grad()
        outputs.append((module, given))

    for module in twin.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(keep)
    backward(_loss(twin(inputs), labels))
    sums: dict[int, Tensor] = {}
    for module, output in outputs:
        if output.grad is None:
            continue
        product = (output * output.grad).detach()
        product = product if isinstance(module, nn.Linear) else product.movedim(1, -1)
        if product.dim() == 3 and hasattr(module, "reads"):  # a recurrent layer: time comes first
            product = product.transpose(0, 1)
        channels = product.reshape(len(inputs), -1, product.shape[-1]).sum(1)
        sums[id(module)] = sums.get(id(module), 0) + channels
    return sum(float(each.pow(2).mean(0).sum()) / 2 for each in sums.values())


def _activation_distance(published: bool) -> Plain:
    def score(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        twin, kernel = _copy(network), torch.zeros(len(inputs), len(inputs), dtype=torch.float64)

        def add(module: nn.Module, taken: tuple[Tensor], given: Tensor) -> None:
            nonlocal kernel
            codes = ((given if published else taken[0]) > 0).flatten(1).float()
            kernel = kernel + codes @ codes.T + (1 - codes) @ (1 - codes).T

        _listen(twin, ACTIVATIONS, add)
        with torch.no_grad():
            twin(inputs)
        return float(torch.linalg.slogdet(kernel)[1])

    return score


def _jacobian(network: nn.Module, inputs: Tensor, noise: float, published: bool) -> Tensor:
    twin, entries, states = _copy(network), [], []

    def enter(entry: Tensor) -> Tensor:
        entry = entry.detach().clone()
        if noise:
            draws = torch.randn(entry.shape, generator=torch.Generator().manual_seed(1))
            entry = entry + noise * entry.var(dim=0) * draws
        entries.append(entry.requires_grad_(True))
        return entries[0]

    taps = _listen(twin, EmbeddingTap, lambda module, taken, given: enter(given))
    if published:
        _listen(twin, RepresentationTap, lambda module, taken, given: states.append(given))
    outputs = twin(inputs) if taps else twin(enter(inputs))
    target = states[0] if states else outputs
    backward(target, torch.ones_like(target))
    slope = entries[0].grad
    assert slope is not None
    return slope.flatten(1)


def _jacobian_scores(ending: str, score: Callable[[Tensor], float]) -> dict[str, Plain]:
    """Returns the three scores of Jacobians, each with all its passes."""
    published = "published" in ending

    def once(network: nn.Module, inputs: Tensor, noise: float) -> float:
        return score(_jacobian(network, inputs, noise, published))

    def plain(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        return once(network, inputs, 0.0)

    def large(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        difference = 1 - abs(once(network, inputs, 0.0) - once(network, inputs, 10.0))
        return difference if "covariance" in ending else -difference

    def more(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
        product = math.prod(once(network, inputs, a) for a in (0.0, 0.1, 10.0, 100.0))
        return -product if "covariance" in ending else product

    return {
        f"jacobian_{ending}": plain,
        f"large_noise_jacobian_{ending}": large,
        f"more_noised_jacobian_{ending}": more,
    }


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


def _hidden_gradients(
    network: nn.Module, inputs: Tensor, from_last: Callable[[Tensor, Tensor], None]
) -> float:
    """Returns the sum of |state x gradient| of one pass of its own."""
    twin = _copy(network)
    states: list[Tensor] = []
    last: list[Tensor] = []

    def keep(module: nn.Module, taken: object, given: Tensor) -> None:
        if given.requires_grad:
            given.retain_grad()
            states.append(given)

    _listen(twin, HiddenTap, keep)
    _listen(twin, RepresentationTap, lambda module, taken, given: last.append(given))
    outputs = twin(inputs)
    from_last(outputs, last[0])
    return float(sum((s * s.grad).detach().abs().sum() for s in states if s.grad is not None))


def _hidden_synaptic_saliency(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    return -_hidden_gradients(network, inputs, lambda y, z: backward(_loss(y, labels)))


def _hidden_synaptic_saliency_published(
    network: nn.Module, inputs: Tensor, labels: Tensor
) -> float:
    return -_hidden_gradients(network, inputs, lambda y, z: backward(z, torch.ones_like(z)))


def _synaptic_saliency_published(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin = _copy(network)
    last: list[Tensor] = []
    _listen(twin, RepresentationTap, lambda module, taken, given: last.append(given))
    twin(inputs)
    backward(last[0], torch.ones_like(last[0]))
    chosen = [m for m in twin.modules() if getattr(m, "position", 0) >= 1]
    chosen += [m for m in twin.modules() if isinstance(m, nn.Embedding)]
    weights: list[Tensor] = [m.get_parameter("weight") for m in chosen]
    return -float(sum((w * w.grad).detach().abs().sum() for w in weights if w.grad is not None))


def _grasp(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin = _copy(network)
    weights = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
    slopes = torch.autograd.grad(_loss(twin(inputs), labels), weights, allow_unused=True)
    again = torch.autograd.grad(
        _loss(twin(inputs), labels), weights, create_graph=True, allow_unused=True
    )
    pairs = [(s, a) for s, a in zip(slopes, again, strict=True) if s is not None and a is not None]
    product = torch.stack([(s * a).sum() for s, a in pairs]).sum()
    backward(product)
    return -float(sum((w * w.grad).detach().sum() for w in weights if w.grad is not None))


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
    for i in range(min(EXAMPLES, len(inputs))):
        twin.zero_grad()
        backward(twin(inputs[i : i + 1]).sum())
        layers = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
        rows.append(torch.cat([w.grad.flatten() for w in layers if w.grad is not None]))
    gradients = torch.stack(rows).double()
    return gradients @ gradients.T


def _ntk_condition(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    values = torch.linalg.eigvalsh(_kernel(network, inputs))
    return -float(values[-1] / values[0])


def _lga(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    kernel = _kernel(network, inputs)
    few = labels[:EXAMPLES]
    equal = (few[:, None] == few[None, :]).double()
    kernel, equal = kernel - kernel.mean(), equal - equal.mean()
    return float((kernel * equal).sum() / (kernel.norm() * equal.norm()))


def _synflow(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin = copy.deepcopy(network).double().eval()  # products of many layers overflow float32
    for name, module in list(twin.named_modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            twin.set_submodule(name, nn.Identity())
    for p in twin.parameters():
        p.data.abs_()
    taps = [module for module in twin.modules() if isinstance(module, EmbeddingTap)]
    for tap in taps:
        tap.register_forward_hook(lambda module, taken, given: torch.ones_like(given))
    outputs = twin(torch.ones_like(inputs[:1], dtype=torch.int64 if taps else torch.float64))
    backward(outputs.sum())
    weights = [m.weight for m in twin.modules() if isinstance(m, LAYERS)]
    total = sum((w * w.grad).detach().abs().sum() for w in weights if w.grad is not None)
    return math.log(float(total)) if total > 0 else -math.inf


def _zen(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    twin, generator = _copy(network), torch.Generator().manual_seed(0)
    for module in twin.modules():
        if isinstance(module, LAYERS):
            module.weight.data = torch.randn(module.weight.shape, generator=generator)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # running statistics are then means of the two passes
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


def _named(*scores: Plain) -> dict[str, Plain]:
    return {score.__name__.removeprefix("_"): score for score in scores}


_SHARED: dict[str, Plain] = {
    **_named(_params, _l2, _grad_norm, _snip, _plain, _fisher, _synflow),
    "activation_distance": _activation_distance(published=False),
    **_jacobian_scores("covariance", correlation_score),
    **_jacobian_scores("cosine", cosine_score),
}
FIRST_ORDER: dict[str, dict[str, Plain]] = {
    "images": {**_SHARED, **_named(_zen)},
    "recurrent": {
        **_SHARED,
        **{f"hidden_covariance_{layer}": _hidden_covariance(layer) for layer in (1, 2, 3)},
        **_named(
            _hidden_synaptic_saliency,
            _hidden_synaptic_saliency_published,
            _synaptic_saliency_published,
        ),
        "activation_distance_published": _activation_distance(published=True),
        **_jacobian_scores("covariance_published", correlation_score),
        **_jacobian_scores("cosine_published", cosine_score),
    },
}
SECOND_ORDER: dict[str, dict[str, Plain]] = {
    "images": _named(_grasp, _ntk_condition, _lga),
    "recurrent": _named(_grasp, _ntk_condition),
}
