"""Layers of a transformer by what they are for, with their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.spaces.builders.taps import Part
    from vitruvius.tools.passes.forward_backward import Slopes
    from vitruvius.tools.passes.probe import Probe

WIDE = 0.5  # published scores leave out operations' layers of fewer outputs: 128 of 256


def part_slopes(
    probe: Probe, slopes: Slopes, *parts: Part, wide: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns weights of linear layers of some parts, and their gradients.

    Args:
        probe: of the network.
        slopes: of its graph.
        parts: that are looked for.
        wide: whether only layers of at least `WIDE` times the outputs of the widest count.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.passes.copies import DoesNotApply, weight_of

    pairs = [
        (weight_of(layer).detach(), slope.detach())
        for layer, slope in zip(probe.graph.layers, slopes.weights, strict=True)
        if getattr(layer, "part", None) in parts and weight_of(layer).dim() == 2
    ]
    if not pairs:
        raise DoesNotApply(f"it needs a transformer that announces its {' or '.join(parts)} layers")
    least = WIDE * max(len(weight) for weight, _ in pairs) if wide else 0
    pairs = [(weight, slope) for weight, slope in pairs if len(weight) >= least]
    return [weight for weight, _ in pairs], [slope for _, slope in pairs]


def wide_outputs(probe: Probe) -> list[Tensor]:
    """Returns the outputs [B, T, D] of the operations' linear layers that are wide, see `WIDE`.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.passes.copies import DoesNotApply, weight_of

    outputs = [
        call.given.detach()
        for call in probe.record.layers
        if getattr(call.module, "part", None) == "operation" and weight_of(call.module).dim() == 2
    ]
    if not outputs:
        raise DoesNotApply("it needs a transformer that announces its operation layers")
    least = WIDE * max(output.shape[-1] for output in outputs)
    return [output for output in outputs if output.shape[-1] >= least]
