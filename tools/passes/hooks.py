"""One forward pass, and what its hooks have seen; which activations are on, as bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from vitruvius.spaces.builders.taps import (
    AttentionTap,
    EmbeddingTap,
    HeadTap,
    HiddenTap,
    RepresentationTap,
)
from vitruvius.spaces.space import FloatArray
from vitruvius.tools.passes.copies import ACTIVATIONS, WEIGHTED, DoesNotApply
from vitruvius.tools.passes.flops import unmoved_generator

TAPS = (EmbeddingTap, HiddenTap, RepresentationTap, AttentionTap, HeadTap)

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a module: what it took in and gave out."""

    module: nn.Module
    taken: Tensor
    given: Tensor

    def by_example(self, tensor: Tensor, examples: int) -> Tensor:
        """Returns what was taken or given, or its gradient, as [B, positions, channels].

        Raises:
            DoesNotApply: if the layer does not keep examples apart.
        """
        if isinstance(self.module, nn.Linear):
            steps_first = tensor.dim() == 3 and hasattr(self.module, "reads")
            tensor = tensor.transpose(0, 1) if steps_first else tensor
        else:
            tensor = tensor.movedim(1, -1)
        if len(tensor) != examples:
            raise DoesNotApply("it needs layers that keep examples apart, the batch first")
        return tensor.reshape(examples, -1, tensor.shape[-1])


@dataclass(kw_only=True)
class Record:
    """What one pass has shown, in order of calls.

    `entry` is the tensor that Jacobians are taken with respect to: the embedded inputs where the
    network announces them, else the inputs. Everything is kept by reference, so it costs no
    memory beyond that of the graph.
    """

    entry: Tensor
    output: Tensor = field(init=False)
    layers: list[Call] = field(default_factory=list)
    activations: list[Call] = field(default_factory=list)
    hidden: dict[int, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    attention: list[Tensor] = field(default_factory=list)
    heads: list[Tensor] = field(default_factory=list)
    representation: Tensor | None = None

    @property
    def states(self) -> list[Tensor]:
        """All hidden states, layer by layer, in order of time."""
        return [state for steps in self.hidden.values() for state in steps]

    @property
    def target(self) -> Tensor:
        """What published scores differentiate: the representation if announced, else the output."""
        return self.output if self.representation is None else self.representation


class _Seen(Exception):
    pass


def record(
    twin: nn.Module, inputs: Tensor, change: Change | None = None, *, taps_only: bool = False
) -> Record:
    """Returns the record of one pass with gradients.

    Args:
        twin: from `create_twin`; hooks are added and removed.
        inputs: [B, ...], left alone.
        change: of the entry (noise); gradients are then with respect to its result.
        taps_only: whether layers and activations are left out, so that a backward pass can free
            the graph as it goes.
    """
    found = Record(entry=inputs)
    has_entry = any(isinstance(module, EmbeddingTap) for module in twin.modules())

    def enter(entry: Tensor) -> Tensor:
        if change is not None:
            entry = change(entry.detach())
        found.entry = entry if entry.requires_grad else entry.detach().requires_grad_(True)
        return found.entry

    def listen(module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> Tensor | None:
        if isinstance(module, EmbeddingTap):
            return enter(given)
        _note(found, module, taken, given)
        return None

    # tokens have no gradient: without a tap for what they are embedded in there is no entry
    if not has_entry and inputs.is_floating_point():
        inputs = enter(inputs)
    kinds = TAPS if taps_only else (*TAPS, *WEIGHTED, *ACTIVATIONS)
    with _listening(twin, listen, kinds), unmoved_generator(), torch.enable_grad():
        found.output = twin(inputs)
    return found


def record_states(twin: nn.Module, inputs: Tensor, deepest: int) -> dict[int, list[Tensor]]:
    """Returns the hidden states by layer, up to `deepest`, of a pass without gradients.

    The pass ends as soon as that layer has taken every step, so neither deeper layers nor the
    decoder cost anything where layers run one after the other.
    """
    hidden: dict[int, list[Tensor]] = defaultdict(list)
    steps = 0  # not known before the embedding says so

    def listen(module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        nonlocal steps
        if isinstance(module, EmbeddingTap):
            steps = given.shape[1]
        elif isinstance(module, HiddenTap):
            hidden[module.layer].append(given)
            # it has taken every step: nothing that comes after is asked for
            if module.layer == deepest and len(hidden[deepest]) == steps:
                raise _Seen
        elif isinstance(module, RepresentationTap):
            raise _Seen

    with _listening(twin, listen, TAPS), unmoved_generator(), torch.no_grad(), suppress(_Seen):
        twin(inputs)
    return hidden


def _note(found: Record, module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
    match module:
        case HiddenTap():
            found.hidden[module.layer].append(given)
        case AttentionTap():
            found.attention.append(given)
        case HeadTap():
            found.heads.append(given)
        case RepresentationTap():
            found.representation = given
        case _ if isinstance(module, WEIGHTED):
            found.layers.append(Call(module=module, taken=taken[0], given=given))
        case _ if isinstance(module, ACTIVATIONS):
            found.activations.append(Call(module=module, taken=taken[0], given=given))


@contextmanager
def _listening(
    twin: nn.Module,
    listen: Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None],
    kinds: tuple[type[nn.Module], ...],
) -> Iterator[None]:
    hooks = [m.register_forward_hook(listen) for m in twin.modules() if isinstance(m, kinds)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def hidden_of(hidden: dict[int, list[Tensor]], layer: int) -> Tensor:
    """Returns the states entering each step of a layer: [T, B, H].

    Raises:
        DoesNotApply: if the network has no such recurrent layer.
    """
    if not hidden.get(layer):
        raise DoesNotApply(f"it needs a recurrent network of at least {layer} layers")
    return torch.stack(hidden[layer])


def agreements(calls: Sequence[Call], examples: int, *, published: bool = False) -> FloatArray:
    """Returns on how many units two examples agree: [B, B], whole numbers in float64.

    A unit is on where its activation's input is above 0. Bits are compared 64 at a time: sixteen
    times as fast as a product of float64 matrices, and exact.

    Args:
        calls: of activations, outputs [B, ...].
        examples: B.
        published: whether a unit is on where its output is above 0, which makes no difference but
            to sigmoids: they are always on.

    Raises:
        DoesNotApply: if an activation does not keep examples apart.
    """
    packed, units = [], 0
    for call in calls:
        bits = _bits(call, published).numpy()
        if len(bits) != examples:
            raise DoesNotApply("it needs activations that keep examples apart, the batch first")
        packed.append(np.packbits(bits, axis=1))
        units += bits.shape[1]
    rest = -sum(part.shape[1] for part in packed) % 8
    packed.append(np.zeros((examples, rest), dtype=np.uint8))
    words = np.concatenate(packed, axis=1).view(np.uint64)
    kernel = np.empty((examples, examples))
    for i, word in enumerate(words):
        differ = np.bitwise_count(word ^ words[i:]).sum(axis=1, dtype=np.int64)
        kernel[i, i:] = kernel[i:, i] = units - differ
    return kernel


def token_agreements(calls: Sequence[Call]) -> float:
    """Returns the units' sum, over pairs of the first sequence's tokens, of agreements.

    Args:
        calls: of activations, outputs [B, T, units].
    """
    total = 0.0
    for call in calls:
        on = (call.given[0].detach() > 0).double().sum(dim=0)  # [units]
        total += float((on.square() + (len(call.given[0]) - on).square()).sum())
    return total


def _bits(call: Call, published: bool) -> Tensor:
    halfway = 0.5 if isinstance(call.module, nn.Sigmoid) and not published else 0.0
    bits = call.given.detach() > halfway
    if bits.dim() == 4 and bits.is_contiguous(memory_format=torch.channels_last):
        bits = bits.permute(0, 2, 3, 1)  # the order of units does not matter, copying does
    return bits.flatten(1).cpu()
