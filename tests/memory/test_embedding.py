"""Vectors: the same everywhere, near where texts are near."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.memory.index import embedding
from vitruvius.memory.index.embedding import DIMENSIONS, embed


def test_another_process_makes_the_same_vector() -> None:
    text = "a 3x3 convolution from input to output: edge_0_3=nor_conv_3x3"
    code = (
        "import sys; from vitruvius.memory.index.embedding import embed; "
        f"sys.stdout.buffer.write(embed([{text!r}]).tobytes())"
    )
    source = str(Path(__file__).parents[2] / "src")
    env = {"PYTHONPATH": source, "PYTHONHASHSEED": "12345"}
    output = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert output.stdout == embed([text]).tobytes()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_any_text_has_a_unit_vector_of_its_own(texts: list[str]) -> None:
    vectors = embed(texts)
    assert vectors.shape == (len(texts), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(vectors, np.concatenate([embed([text]) for text in texts]))


def test_nearer_texts_have_nearer_vectors() -> None:
    ask, near, far = embed(
        [
            "does a wider stem help on small images",
            "A wide stem helps when images are small",
            "Avoid average pooling on the last edge",
        ]
    )
    assert ask @ near > 0.3 > ask @ far


def test_the_example_holds() -> None:
    assert doctest.testmod(embedding).failed == 0
