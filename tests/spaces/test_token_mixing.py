"""Operations between tokens against plain slow versions, written from their definitions."""

from __future__ import annotations

import cmath
import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from vitruvius.spaces.builders.transformer import (
    SelfAttention,
    SpanConvolution,
    Transform,
    cosine_transform,
    create_operation,
    joined,
    split,
)
from vitruvius.spaces.transformers.form import OPERATIONS, BuiltLayer

HIDDEN, LENGTH = 8, 7


def states(batch: int = 2, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, length, HIDDEN, generator=generator, dtype=torch.float64)


def operation(name: str, heads: int = 2, *, causal: bool = False) -> nn.Module:
    torch.manual_seed(1)
    layer = BuiltLayer(hidden=HIDDEN, operation=name, heads=heads, ff_widths=(4,))
    return create_operation(layer, causal=causal, dropout=0.0).double().requires_grad_(False)


def linear(layer: nn.Module, row: Tensor) -> Tensor:
    weight, bias = layer.weight, layer.bias
    out = [sum(w * x for w, x in zip(ws, row, strict=True)) for ws in cast("Tensor", weight)]
    return torch.stack(out) + (0 if bias is None else cast("Tensor", bias))


def attended(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    """One head of one example: rows [T, d]."""
    rows = []
    for t in range(len(query)):
        seen = range(t + 1 if causal else len(query))
        scores = [float(query[t] @ key[s]) / math.sqrt(query.shape[1]) for s in seen]
        total = sum(math.exp(score) for score in scores)
        rows.append(
            sum(math.exp(score) / total * value[s] for s, score in zip(seen, scores, strict=True))
        )
    return torch.stack(cast("list[Tensor]", rows))


@pytest.mark.parametrize("name", ["sdp", "wma"])
@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_a_weighted_mean_of_values(name: str, heads: int, causal: bool) -> None:
    layer = cast("SelfAttention", operation(name, heads, causal=causal))
    inputs, size = states(), HIDDEN // heads
    result = layer(inputs)
    assert result.shape == (2, heads, LENGTH, size)
    for example in range(2):
        query = torch.stack([linear(layer.query, row) for row in inputs[example]])
        if name == "wma":
            query = torch.stack([linear(layer.weight, row) for row in query])
        key = torch.stack([linear(layer.key, row) for row in inputs[example]])
        value = torch.stack([linear(layer.value, row) for row in inputs[example]])
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            expected = attended(query[:, own], key[:, own], value[:, own], causal=causal)
            torch.testing.assert_close(result[example, head], expected)


@pytest.mark.parametrize("heads", [2, 4])
def test_a_fourier_layer_is_the_real_part_of_both_sums(heads: int) -> None:
    layer = cast("Transform", operation("dft", heads))
    inputs, size = states(1), HIDDEN // heads
    result = layer(inputs)[0]
    values = torch.stack([linear(layer.inputs, row) for row in inputs[0]])
    for head in range(heads):
        for k in range(LENGTH):
            for m in range(size):
                total = 0j
                for n in range(LENGTH):
                    for j in range(size):
                        angle = -2 * math.pi * (k * n / LENGTH + m * j / size)
                        total += float(values[n, head * size + j]) * cmath.exp(1j * angle)
                expected = total.real / math.sqrt(LENGTH * size)
                assert float(result[head, k, m]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("heads", [2, 4])
def test_a_cosine_layer_is_dct_ii_along_tokens_and_features(heads: int) -> None:
    layer = cast("Transform", operation("dct", heads))
    inputs, size = states(1), HIDDEN // heads
    values = torch.stack([linear(layer.inputs, row) for row in inputs[0]])
    result = layer(inputs)[0]
    for head in range(heads):
        own = values[:, head * size : (head + 1) * size]
        torch.testing.assert_close(result[head], dct_matrix(LENGTH) @ own @ dct_matrix(size).T)


def dct_matrix(length: int) -> Tensor:
    rows = []
    for k in range(length):
        scale = math.sqrt((1 if k == 0 else 2) / length)
        rows.append(
            [scale * math.cos(math.pi * k * (2 * n + 1) / (2 * length)) for n in range(length)]
        )
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 2, 5, 16])
def test_the_cosine_transform_is_orthogonal(length: int) -> None:
    matrix = cosine_transform(torch.eye(length, dtype=torch.float64), dim=0)
    torch.testing.assert_close(matrix, dct_matrix(length))
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(length, dtype=torch.float64))
    values = torch.randn(3, length, 2, dtype=torch.float64)
    torch.testing.assert_close(
        cosine_transform(values, dim=1), torch.einsum("kn,bnd->bkd", matrix, values)
    )


@pytest.mark.parametrize(("name", "heads"), [("dsc5", 2), ("dsc5", 4), ("dsc9", 4), ("dsc13", 8)])
@pytest.mark.parametrize("causal", [False, True])
def test_a_span_convolution_weighs_neighbours_by_what_they_span(
    name: str, heads: int, causal: bool
) -> None:
    layer = cast("SpanConvolution", operation(name, heads, causal=causal))
    inputs, kernel, size = states(1), int(name[3:]), HIDDEN // heads
    before = kernel - 1 if causal else kernel // 2
    result, half = layer(inputs)[0], max(1, heads // 2)
    assert result.shape == (2 * half, LENGTH, size)
    tokens = inputs[0]
    zero = torch.zeros(HIDDEN, dtype=torch.float64)

    def at(rows: list[Tensor], t: int, k: int) -> Tensor:
        place = t + k - before
        return rows[place] if 0 <= place < LENGTH else torch.zeros_like(rows[0])

    query = [linear(layer.query, row) for row in tokens]
    key = [linear(layer.key, row) for row in tokens]
    value = [linear(layer.value, row) for row in tokens]
    convolved = [linear(layer.convolved, row) for row in tokens]
    depthwise = layer.depthwise.weight[:, 0]  # [D, kernel]
    pointwise = layer.pointwise.weight[:, :, 0]
    for t in range(LENGTH):
        around = zero.clone()
        for k in range(kernel):
            around += depthwise[:, k] * at(list(tokens), t, k)
        span = pointwise @ around + layer.pointwise.bias
        scores = linear(layer.weights, span * query[t]).reshape(half, kernel)
        for head in range(half):
            own = slice(head * size, (head + 1) * size)
            weights = [math.exp(float(score)) for score in scores[head]]
            expected = sum(
                weight / sum(weights) * at(convolved, t, k)[own] for k, weight in enumerate(weights)
            )
            torch.testing.assert_close(result[half + head, t], expected)
    for head in range(half):
        own = slice(head * size, (head + 1) * size)
        rows = [torch.stack([row[own] for row in part]) for part in (query, key, value)]
        torch.testing.assert_close(result[head], attended(*rows, causal=causal))


def test_heads_of_a_cosine_transform_are_made_up_for_by_its_weights() -> None:
    """What two heads compute, four compute with rotated weights: heads are an idle choice."""
    two, four = cast("Transform", operation("dct", 2)), cast("Transform", operation("dct", 4))
    rotation = torch.block_diag(*[dct_matrix(2)] * 4).T @ torch.block_diag(*[dct_matrix(4)] * 2)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(HIDDEN, dtype=torch.float64))
    with torch.no_grad():
        four.inputs.weight.copy_(rotation @ two.inputs.weight)
        four.inputs.bias.copy_(rotation @ two.inputs.bias)
    torch.testing.assert_close(joined(two(states())), joined(four(states())))


def test_heads_of_a_fourier_transform_change_its_rank() -> None:
    length = 6
    ranks = []
    for heads in (2, 4):
        layer = cast("Transform", operation("dft", heads))
        with torch.no_grad():
            layer.inputs.weight.copy_(torch.eye(HIDDEN))
            layer.inputs.bias.zero_()
            units = torch.eye(length * HIDDEN, dtype=torch.float64).reshape(-1, length, HIDDEN)
            matrix = joined(layer(units)).flatten(1)
        ranks.append(int(torch.linalg.matrix_rank(matrix)))
    assert ranks == [length * HIDDEN // 2 + 2 * 2, length * HIDDEN // 2 + 2 * 4]


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_of_a_batch_do_not_see_each_other(name: str) -> None:
    layer, inputs = operation(name), states(4)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(layer(inputs)[order], layer(inputs[order]))
    torch.testing.assert_close(layer(inputs)[1:2], layer(inputs[1:2]))


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_attention_ignores_the_order_of_tokens(name: str) -> None:
    layer, inputs = operation(name), states()
    order = torch.randperm(LENGTH, generator=torch.Generator().manual_seed(2))
    permuted, expected = layer(inputs[:, order]), layer(inputs)[:, :, order]
    assert torch.allclose(permuted, expected) == (OPERATIONS[name] == "attention")


@pytest.mark.parametrize("name", ["sdp", "wma", "dsc5", "dsc9"])
def test_a_causal_operation_does_not_look_ahead(name: str) -> None:
    inputs = states()
    changed = inputs.clone()
    changed[:, 4] += 1.0
    for causal in (True, False):
        layer = operation(name, causal=causal)
        difference = (layer(changed) - layer(inputs)).abs().amax(dim=(0, 1, 3))
        assert (difference[4:] > 1e-9).all()
        assert bool((difference[:4] == 0).all()) == causal


def test_operations_differ() -> None:
    results = [joined(operation(name)(states())) for name in OPERATIONS]
    for place, one in enumerate(results):
        assert not any(torch.allclose(one, other) for other in results[:place])


def test_heads_are_split_and_joined_in_order() -> None:
    inputs = states()
    heads = split(inputs, 4)
    torch.testing.assert_close(heads[:, 1], inputs[:, :, 2:4])
    torch.testing.assert_close(joined(heads), inputs)
