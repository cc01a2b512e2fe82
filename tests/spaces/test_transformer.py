"""Transformer networks as a whole: layers, heads, taps, initialisation, learning."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.taps import AttentionTap, EmbeddingTap, HeadTap, RepresentationTap
from vitruvius.spaces.builders.transformer import Block, TokenHead, Transformer, joined
from vitruvius.spaces.space import Signature
from vitruvius.spaces.transformers.form import OPERATIONS, BuiltLayer
from vitruvius.spaces.transformers.space import FlexiBert, FlexiBertFull

WORDS = Signature(input_shape=(12,), outputs=9, vocabulary=9, per_token=True)
NEXT_WORD = Signature(input_shape=(12,), outputs=9, vocabulary=9, per_token=True, causal=True)
SERIES = Signature(input_shape=(1, 12), outputs=3)
TEXT_CLASS = Signature(input_shape=(12,), outputs=3, vocabulary=9)
SIGNATURES = (WORDS, NEXT_WORD, SERIES, TEXT_CLASS)


def layer(operation: str = "sdp", **changes: Any) -> BuiltLayer:
    return BuiltLayer(
        operation=operation, **{"hidden": 16, "heads": 2, "ff_widths": (24, 20), **changes}
    )


def network(*layers: BuiltLayer, signature: Signature = WORDS, **options: Any) -> Transformer:
    torch.manual_seed(0)
    form = [asdict(one) for one in layers or (layer(),)]
    return Transformer(form, asdict(signature), embedding=8, **options)


def inputs(signature: Signature = WORDS, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (batch, *signature.input_shape)
    if signature.vocabulary is None:
        return torch.randn(shape, generator=generator)
    return torch.randint(signature.vocabulary, shape, generator=generator)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_layer_adds_and_normalises_twice(operation: str) -> None:
    block = cast("Block", network(layer(operation), deviation=0.3).layers[0])
    states = torch.randn(2, 12, 16)
    first, second, last = (part for part in block.feed_forward if isinstance(part, nn.Linear))
    assert [part.out_features for part in (first, second, last)] == [24, 20, 16]
    mixed = joined(block.operation(states))
    if OPERATIONS[operation] != "transform":
        assert isinstance(block.project, nn.Linear)
        mixed = block.project(mixed)
    between = functional.layer_norm(states + mixed, (16,))
    fed = last(functional.gelu(second(functional.gelu(first(between)))))
    torch.testing.assert_close(block(states), functional.layer_norm(between + fed, (16,)))


def test_tokens_are_embedded_with_their_place() -> None:
    embedding, words = network().embedding, inputs()
    expected = torch.stack(
        [
            torch.stack([embedding.inputs.weight[w] + embedding.positions.weight[t]
                         for t, w in enumerate(row.tolist())])
            for row in words
        ]
    )  # fmt: skip
    torch.testing.assert_close(embedding(words), functional.layer_norm(expected, (8,)))


def test_every_position_of_an_image_is_a_token_of_its_channels() -> None:
    signature = Signature(input_shape=(3, 2, 4), outputs=2)
    built = network(signature=signature)
    images, seen = torch.randn(2, 3, 2, 4), []
    built.embedding.tap.register_forward_hook(lambda *call: seen.append(call[2]))
    built(images)
    assert seen[0].shape == (2, 8, 8)
    torch.testing.assert_close(seen[0][1, 5], built.embedding.inputs(images[1, :, 1, 1]))


def test_layers_of_other_width_are_led_to_by_a_linear_layer() -> None:
    built = network(layer(), layer(hidden=8), layer(hidden=8))
    kinds = [type(part) for part in built.layers]
    assert kinds == [Block, nn.Linear, Block, Block]
    assert built(inputs()).shape == (3, 12, 9)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_outputs_fit_the_signature(signature: Signature) -> None:
    result = network(layer(), layer("dsc5"), signature=signature)(inputs(signature))
    tokens = signature.input_shape if signature.per_token else ()
    assert result.shape == (3, *tokens, signature.outputs)


def test_a_class_is_predicted_from_the_mean_over_tokens() -> None:
    built, seen = network(signature=TEXT_CLASS, deviation=0.3), []
    built.layers.register_forward_hook(lambda *call: seen.append(call[2]))
    result = built(inputs(TEXT_CLASS))
    torch.testing.assert_close(result, built.head(seen[0].mean(dim=1)))


def test_a_decoder_of_words_has_the_embedding_s_weights() -> None:
    built = network()
    assert cast("TokenHead", built.head).decoder.weight is built.embedding.inputs.weight
    other = network(signature=Signature(input_shape=(12,), outputs=4, vocabulary=9, per_token=True))
    assert cast("TokenHead", other.head).decoder.weight.shape == (4, 8)


@pytest.mark.parametrize("operation", ["sdp", "wma", "dsc5", "dsc9"])
def test_a_language_model_does_not_look_ahead(operation: str) -> None:
    words = inputs()
    changed = words.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 9
    for signature in (NEXT_WORD, WORDS):
        built = network(layer(operation), layer(operation), signature=signature, deviation=0.3)
        difference = (built(changed) - built(words)).abs().amax(dim=(0, 2))
        assert (difference[7:] > 0).all()
        assert bool((difference[:7] == 0).all()) == signature.causal


@pytest.mark.parametrize("operation", ["dft", "dct"])
def test_a_transform_cannot_predict_the_next_word(operation: str) -> None:
    sentence = f"layer 2 is a {operation}, which mixes all tokens, later ones too"
    with pytest.raises(ConfigError, match=sentence):
        network(layer(), layer(operation), signature=NEXT_WORD)


@pytest.mark.parametrize("shape", [(12,), ()])
def test_values_without_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"values of shape \(channels, length\)"):
        network(signature=Signature(input_shape=shape, outputs=2))
    with pytest.raises(ConfigError, match=r"tokens of shape \(length,\)"):
        network(signature=Signature(input_shape=(*shape, 3, 3), outputs=2, vocabulary=5))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_taps_announce_what_happens_inside(operation: str) -> None:
    built = network(layer(operation, heads=4), layer(operation, heads=4), deviation=0.3)
    seen: dict[type, list[Tensor]] = {}
    for module in built.modules():
        if isinstance(module, AttentionTap | EmbeddingTap | HeadTap | RepresentationTap):
            module.register_forward_hook(lambda m, _, out: seen.setdefault(type(m), []).append(out))
    built(inputs())
    kind = OPERATIONS[operation]
    assert [one.shape for one in seen[EmbeddingTap]] == [(3, 12, 8)]
    assert [one.shape for one in seen[RepresentationTap]] == [(3, 12, 16)]
    assert [one.shape for one in seen[HeadTap]] == [(3, 4, 12, 4)] * 2
    heads = {"attention": 4, "transform": 0, "convolution": 2}[kind]
    weights = seen.get(AttentionTap, [])
    assert [one.shape for one in weights] == [(3, heads, 12, 12)] * (2 if heads else 0)
    for one in weights:
        torch.testing.assert_close(one.sum(dim=-1), torch.ones(3, heads, 12))


def test_every_weighted_layer_says_what_it_is_for() -> None:
    built = network(*map(layer, OPERATIONS))
    for block in built.layers:
        assert isinstance(block, Block)
        parts = (
            ("operation", block.operation),
            ("projection", block.project),
            ("feed_forward", block.feed_forward),
        )
        for part, whole in parts:
            weighted = [m for m in whole.modules() if isinstance(m, nn.Linear | nn.Conv1d)]
            assert weighted or part == "projection"  # a transform has none
            assert {getattr(module, "part", None) for module in weighted} <= {part}


def test_activations_are_modules_called_once() -> None:
    built, called = network(layer(ff_widths=(8, 8, 8))), []
    for module in built.modules():
        if isinstance(module, nn.GELU):
            module.register_forward_hook(lambda module, *_: called.append(module))
    built(inputs())
    assert len(called) == len(set(called)) == 4  # three feed-forward layers and the head


@pytest.mark.parametrize("scale", [1, 8])
def test_weights_are_normal_and_biases_zero(scale: int) -> None:
    space = FlexiBert(scale=scale)
    torch.manual_seed(0)
    architecture = space.sample(np.random.default_rng(3))
    built = space.build(architecture, WORDS)
    for module in built.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
            spread, count = module.weight.std().item(), module.weight.numel()
            expected = 0.02 * math.sqrt(scale)
            assert spread == pytest.approx(expected, rel=5 / math.sqrt(2 * count))
            assert getattr(module, "bias", None) is None or not module.bias.any()


def test_dropout_is_for_training_only() -> None:
    built = network(layer(), layer("dsc5"), dropout=0.5)
    assert not torch.equal(built(inputs()), built(inputs()))
    built.eval()
    assert torch.equal(built(inputs()), built(inputs()))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_single_and_double_precision_agree(operation: str) -> None:
    built = network(layer(operation), deviation=0.3)
    single = built(inputs())
    torch.testing.assert_close(single, built.double()(inputs()).float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_parameter_takes_part(operation: str) -> None:
    built = network(layer(operation, heads=4), layer(operation, heads=4), deviation=0.3)
    functional.cross_entropy(built(inputs()).flatten(0, 1), inputs().flatten()).backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        is_idle = name.endswith("key.bias")  # the same is added to all scores of a row
        assert is_idle or parameter.grad.abs().max() > 1e-8, name


def test_operations_give_different_networks() -> None:
    space, outputs = FlexiBertFull(), []
    for operation in OPERATIONS:
        one = {"operation": operation, "heads": 4, "ff_width": 512, "ff_layers": 1, "hidden": 128}
        torch.manual_seed(0)
        outputs.append(space.build(space.parse({"layers": [one, one]}), WORDS)(inputs()))
    for place, one in enumerate(outputs):
        assert not any(torch.allclose(one, other) for other in outputs[:place])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_learns_what_hides_behind_a_mask(operation: str) -> None:
    """Rows of one word, one place masked: only a layer that mixes tokens can tell the word."""
    built = network(layer(operation, ff_widths=(24,)), deviation=0.1)
    optimiser = torch.optim.AdamW(built.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        words = torch.randint(8, (16, 1), generator=generator).expand(16, 12)
        shown = words.clone()
        shown[:, 5] = 8
        loss = functional.cross_entropy(built(shown)[:, 5], words[:, 5])
        if loss.item() < 0.3:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.3 < math.log(8)
