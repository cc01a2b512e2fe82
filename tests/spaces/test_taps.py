import torch
from torch import nn

from vitruvius.spaces.builders.taps import HiddenTap, announce


def test_a_tap_hands_on_the_very_tensor_that_it_is_given() -> None:
    state = torch.ones(2, 3)
    assert HiddenTap(layer=1)(state) is state


def test_a_layer_says_what_it_is_for() -> None:
    layer = announce(nn.Linear(2, 2), reads="x", position=0)
    assert (layer.reads, layer.position) == ("x", 0)
    assert not hasattr(layer, "part")
