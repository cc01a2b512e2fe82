"""Counting parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vitruvius.spaces.space import Signature

COUNTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCHED = (torch.ops.aten.bmm.default, torch.ops.aten.baddbmm.default)


def count_params(network: nn.Module) -> int:
    """Returns the number of parameters, shared ones once.

    Example:
        >>> count_params(nn.Linear(4, 2))
        10
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_flops(network: nn.Module, signature: Signature) -> int:
    """Returns the multiply-adds of one forward pass of one example, counted on a real pass.

    The convention is that of NAS-Bench-201 (Dong & Yang 2020, arXiv:2001.00326), whose
    recorded FLOPs it reproduces: a convolution or linear layer costs its weights once per output
    position, plus one per output where it has a bias; normalisation, activations, pooling and
    sums cost nothing. Layers that are called and whose output is not used count. A product of two
    batches of matrices ([B, m, k] with [B, k, n]: attention) costs its multiply-adds, however it is
    written; other products in functional form and fast Fourier transforms are not seen.

    Modes, buffers, gradients, device and the global random generator stay as they were.

    Args:
        network: of the signature, on any device.
        signature: what the network takes in.

    Raises:
        RuntimeError: whatever torch raises where the shapes do not fit.

    Example:
        >>> count_flops(nn.Linear(4, 2), Signature(input_shape=(4,), outputs=2))
        10
    """
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * _per_output(layer)

    products = _Products()
    layers = [layer for layer in network.modules() if isinstance(layer, COUNTED)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with evaluating(network), unmoved_generator(), torch.no_grad(), products:
            network(blank(signature, device_of(network)))
    finally:
        for hook in hooks:
            hook.remove()
    return total + products.total


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch lacks annotations
    """Adds up the multiply-adds of products of two batches of matrices."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch lacks annotations
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _BATCHED:
            first, second = args[-2:]  # baddbmm has what it adds before them
            self.total += first.numel() * second.shape[-1]
        return func(*args, **(kwargs or {}))


def blank(signature: Signature, device: torch.device) -> Tensor:
    """Returns one example of zeros: float32 numbers, or int64 tokens."""
    kind = torch.float32 if signature.vocabulary is None else torch.int64
    return torch.zeros((1, *signature.input_shape), dtype=kind, device=device)


def device_of(network: nn.Module) -> torch.device:
    """Returns the device of the network's first parameter; the CPU if it has none."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Puts every module in evaluation mode, and each back in the mode it had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def unmoved_generator(seed: int = 0) -> Iterator[None]:
    """Seeds torch's global generators inside, and puts their states back."""
    state = torch.get_rng_state()
    on_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch lacks the annotation
    cuda_states = torch.cuda.get_rng_state_all() if on_cuda else []
    try:
        torch.default_generator.manual_seed(seed)
        if cuda_states:
            torch.cuda.manual_seed_all(seed)
        yield
    finally:
        torch.set_rng_state(state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


def _per_output(layer: nn.Module) -> int:
    """Returns the multiply-adds behind one output element of a counted layer."""
    assert isinstance(layer, COUNTED)
    weights = layer.weight[0].numel()  # [out, in / groups, *kernel] or [out, in]
    return weights + (layer.bias is not None)
