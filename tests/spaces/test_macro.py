"""The macro space: choices without effect, features, networks."""

from __future__ import annotations

import pytest
import torch

from vitruvius.errors import ConfigError
from vitruvius.spaces.macro import SLOTS, Macro
from vitruvius.spaces.space import Architecture, Signature

PLAIN = {
    "depth": "3",
    "width": "8",
    "kernel": "3",
    "activation": "relu",
    "normalisation": "batch",
    "skip": "off",
    "pooling": "average",
}
SERIES = Signature(input_shape=(2, 12), outputs=3)
INPUTS = torch.randn(4, 2, 12, generator=torch.Generator().manual_seed(0))


def output(spec: dict[str, str]) -> torch.Tensor:
    torch.manual_seed(0)
    result: torch.Tensor = Macro().build(
        Architecture.of(spec), Signature(input_shape=(2, 12), outputs=3)
    )(INPUTS)
    return result


def test_one_block_has_neither_skip_nor_pooling() -> None:
    base = {**PLAIN, "depth": "1"}
    for change in ({"skip": "on"}, {"pooling": "max"}, {"skip": "on", "pooling": "max"}):
        assert Macro().parse({**base, **change}) == Macro().parse(base)
        assert torch.equal(output({**base, **change}), output(base))


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: slot.name)
def test_every_other_choice_changes_the_function(slot) -> None:  # type: ignore[no-untyped-def]
    outputs = [output({**PLAIN, slot.name: choice}) for choice in slot.names]
    for index, one in enumerate(outputs):
        assert not any(torch.allclose(one, other) for other in outputs[:index])


def test_members_are_the_canonical_ones() -> None:
    combinations = 5 * 5 * 4 * 4 * 3 * 2 * 2
    without_effect = 5 * 4 * 4 * 3 * 3  # depth 1: three of four (skip, pooling) pairs
    assert len(Macro().members() or ()) == combinations - without_effect


@pytest.mark.parametrize("depth", ["1", "2", "3", "4", "6"])
@pytest.mark.parametrize("kernel", ["1", "5"])
def test_reach_is_what_the_gradient_says(depth: str, kernel: str) -> None:
    spec = {**PLAIN, "depth": depth, "kernel": kernel, "normalisation": "none", "width": "32",
            "activation": "tanh"}  # fmt: skip
    network = (
        Macro().build(Architecture.of(spec), Signature(input_shape=(1, 256), outputs=2)).double()
    )
    inputs = torch.randn(1, 1, 256, dtype=torch.float64, requires_grad=True)
    positions = torch.nn.Sequential(*list(network.children())[:-2])(inputs)
    positions[0, :, positions.shape[2] // 2].sum().backward()
    reached = inputs.grad[0, 0].nonzero().flatten()
    space = Macro()
    row = space.featurise([space.parse(spec)])[0]
    names = [feature.name for feature in space.features]
    assert row[names.index("reach")] == reached[-1] - reached[0] + 1


def test_an_input_too_small_for_its_pooling_is_refused() -> None:
    with pytest.raises(ConfigError, match="halved 2 times"):
        Macro().build(Architecture.of(PLAIN), Signature(input_shape=(1, 3), outputs=2))
