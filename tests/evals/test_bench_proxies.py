import numpy as np
import pytest
import torch

from vitruvius.evals.bench_proxies import CLOSE, compare, hidden, together
from vitruvius.evals.plain_proxies import FIRST_ORDER, SECOND_ORDER
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.passes.probe import Batch

TEXT = Signature(input_shape=(5,), outputs=20, vocabulary=20, per_token=True, causal=True)
IMAGES = Signature(input_shape=(3, 8, 8), outputs=4)


@pytest.mark.parametrize("kind", ["images", "recurrent"])
def test_shared_passes_give_the_numbers_of_one_at_a_time(kind: str) -> None:
    ref = "nb201:reduction=residual" if kind == "images" else "recurrent:layers=3,hidden=8"
    space, signature = load_space(ref), IMAGES if kind == "images" else TEXT
    assert isinstance(space, Builder)
    with unmoved_generator(0):
        network = space.build(space.sample(np.random.default_rng(3)), signature)
        if kind == "images":
            inputs, labels = torch.randn(8, 3, 8, 8), torch.arange(8) % 4
        else:
            inputs = torch.randint(20, (8, 5))
            labels = inputs.roll(-1, dims=1)
    scores = {**FIRST_ORDER[kind], **SECOND_ORDER[kind]}
    if kind == "recurrent":
        del scores["ntk_condition"]  # so small a network's least eigenvalue is rounding
    batch = Batch(inputs=inputs, labels=labels)
    found = together(network, signature, batch, list(scores))
    for name, score in scores.items():
        assert found[name] == pytest.approx(score(network, inputs, labels), rel=10 * CLOSE), name


@pytest.mark.slow
def test_first_order_scores_are_five_times_as_fast_on_shared_passes() -> None:
    compare("images", 0)
    row = compare("images", 1)
    assert row["first order"]["ratio"] >= 5
    assert row["all"]["ratio"] >= 3


@pytest.mark.slow
def test_hidden_covariance_costs_at_most_a_tenth_of_an_epoch_on_text() -> None:
    hidden("usual", 0)
    assert hidden("usual", 1)["epoch by covariance"] >= 10
