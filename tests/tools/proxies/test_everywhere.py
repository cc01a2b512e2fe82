"""Every proxy on networks of every space: a number, or one sentence that says what it needs."""

import numpy as np
import pytest
import torch

from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature, network_kind
from vitruvius.tools.passes.probe import Batch, DoesNotApply
from vitruvius.tools.passes.scoring import plan
from vitruvius.tools.proxies import PROXIES

WORDS, EXAMPLES = 11, 6
TOKENS = {"input_shape": (6,), "vocabulary": WORDS}
CAUSAL = Signature(outputs=WORDS, per_token=True, causal=True, **TOKENS)  # type: ignore[arg-type]
MASKED = Signature(outputs=WORDS, per_token=True, **TOKENS)  # type: ignore[arg-type]
TOPIC = Signature(outputs=3, **TOKENS)  # type: ignore[arg-type]
SERIES = Signature(input_shape=(1, 16), outputs=3)
IMAGES = Signature(input_shape=(3, 8, 8), outputs=3)

RECURRENT = "recurrent:hidden=6,embedding=5"
CASES = [
    (RECURRENT, CAUSAL),
    (RECURRENT, TOPIC),
    (RECURRENT, SERIES),
    (RECURRENT, IMAGES),
    (f"{RECURRENT},recurrent_weights=frozen", CAUSAL),
    ("flexibert:scale=8,causal=yes", CAUSAL),
    ("flexibert:scale=8", MASKED),
    ("flexibert:scale=8", TOPIC),
    ("flexibert:scale=8", SERIES),
    ("flexibert:scale=8", IMAGES),
    ("flexibert_full:scale=8", MASKED),
    ("nb201:channels=4", IMAGES),
    ("nb201:channels=4", SERIES),
    ("transnas", IMAGES),
    ("macro", IMAGES),
    ("macro", SERIES),
]


def batch_of(signature: Signature) -> Batch:
    generator = torch.Generator().manual_seed(0)
    shape = (EXAMPLES, *signature.input_shape)
    inputs = (
        torch.randn(shape, generator=generator)
        if signature.vocabulary is None
        else torch.randint(signature.vocabulary, shape, generator=generator)
    )
    labels = inputs.roll(-1, dims=1) if signature.per_token else torch.arange(EXAMPLES) % 3
    return Batch(inputs=inputs, labels=labels)


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.parametrize(("ref", "signature"), CASES)
def test_it_gives_a_number_or_says_in_one_sentence_what_it_needs(
    ref: str, signature: Signature, seed: int
) -> None:
    space = load_space(ref)
    assert isinstance(space, Builder)
    torch.manual_seed(0)
    network = space.build(space.sample(np.random.default_rng(seed)), signature)
    probe = plan(network, signature, batch_of(signature), list(PROXIES))
    for name, proxy in PROXIES.items():
        try:
            assert isinstance(float(proxy(probe)), float)
        except DoesNotApply as reason:
            said = str(reason)
            assert said.startswith("it needs "), name
            assert "\n" not in said, name
        else:
            assert network_kind(space) in proxy.applies_to, name


def test_zen_leaves_transformers_alone_even_where_they_have_convolutions() -> None:
    space = load_space("flexibert:scale=8")
    assert isinstance(space, Builder)
    rng = np.random.default_rng(0)
    for signature in (MASKED, IMAGES):
        network = None
        while network is None or not any(isinstance(m, torch.nn.Conv1d) for m in network.modules()):
            network = space.build(space.sample(rng), signature)
        probe = plan(network, signature, None, ["zen"])
        with pytest.raises(DoesNotApply, match="a network of convolutions, without an embedding"):
            PROXIES["zen"](probe)
