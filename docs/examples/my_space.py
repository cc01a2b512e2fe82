"""A search space of one's own: fully connected networks.

Use it with `vitruvius run --space docs/examples/my_space.py:space`.
"""

import math

from torch import nn

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Signature, Slot

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def numbers(*values: float) -> tuple[Choice, ...]:
    """Choices with a value: their slot becomes one ordinal feature."""
    return tuple(Choice(name=f"{value:g}", value=value) for value in values)


def build(architecture: Architecture, signature: Signature) -> nn.Module:
    """Makes the network of an architecture; `spec` maps each slot to the name of a choice."""
    spec = architecture.spec
    width, dropout = int(spec["width"]), float(spec["dropout"])
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = math.prod(signature.input_shape)
    for _ in range(int(spec["layers"])):
        layers += [nn.Linear(inputs, width), ACTIVATIONS[spec["activation"]](), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, signature.outputs))


space = SlotSpace(
    "mlp",
    [
        Slot(name="layers", choices=numbers(1, 2, 3, 4), description="hidden layers"),
        Slot(name="width", choices=numbers(16, 32, 64, 128), description="units of a layer"),
        Slot(name="dropout", choices=numbers(0, 0.1, 0.3), description="share of units dropped"),
        Slot(name="activation", choices=tuple(Choice(name=name) for name in ACTIVATIONS)),
    ],
    build=build,
    description="Fully connected networks: every hidden layer has the same width.",
)
