"""Layers of a transformer by what they are for, with their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.spaces.builders.taps import Part
    from vitruvius.tools.graph import Slopes
    from vitruvius.tools.probe import Probe
    from vitruvius.tools.recording import Call

WIDE = 128  # published scores leave out operations' layers of fewer outputs


def part_slopes(
    probe: Probe, slopes: Slopes, *parts: Part, wide: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns weights of linear layers of some parts, and their gradients.

    Args:
        probe: of the network.
        slopes: of its graph.
        parts: that are looked for.
        wide: whether only layers of at least `WIDE` outputs count.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.twins import DoesNotApply, weight_of

    pairs = [
        (weight_of(layer).detach(), slope.detach())
        for layer, slope in zip(probe.graph.layers, slopes.weights, strict=True)
        if getattr(layer, "part", None) in parts
        and weight_of(layer).dim() == 2
        and (not wide or len(weight_of(layer)) >= WIDE)
    ]
    if not pairs:
        raise DoesNotApply(
            f"it needs a transformer that announces its {' and '.join(parts)} layers"
        )
    return [weight for weight, _ in pairs], [slope for _, slope in pairs]


def part_calls(probe: Probe, part: Part) -> list[Call]:
    """Returns the calls of a part's linear layers.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.twins import DoesNotApply

    calls = [c for c in probe.record.layers if getattr(c.module, "part", None) == part]
    if not calls:
        raise DoesNotApply(f"it needs a transformer that announces its {part} layers")
    return calls
