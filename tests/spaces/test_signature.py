"""Which signatures the image spaces serve."""

from __future__ import annotations

import numpy as np
import pytest

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Signature

MODEL = Signature(input_shape=(16,), outputs=30, vocabulary=30, per_token=True, causal=True)


@pytest.mark.parametrize("ref", ["nb201", "macro", "transnas"])
def test_spaces_of_image_networks_refuse_text_in_one_sentence(ref: str) -> None:
    space = load_space(ref)
    architecture = space.sample(np.random.default_rng(0))
    with pytest.raises(ConfigError, match=f"^space {space.name} builds networks for .* not for"):
        space.build(architecture, MODEL)
