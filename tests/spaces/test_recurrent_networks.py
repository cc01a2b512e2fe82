"""Networks of recurrent cells against a plain evaluator and torch's own layers."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.recurrent import RecurrentLayer, RecurrentNetwork
from vitruvius.spaces.builders.taps import EmbeddingTap, HiddenTap, RepresentationTap
from vitruvius.spaces.recurrent.graph import (
    COMMUTATIVE,
    GRU,
    LSTM,
    RNN,
    Graph,
    from_recipe,
    in_order,
    states,
    to_recipe,
)
from vitruvius.spaces.recurrent.moves import sample_graph
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.tables.nas_bench_nlp import published_params
from vitruvius.tools.export.class_source import definitions
from vitruvius.tools.passes.flops import count_flops, count_params

TEXT = Signature(input_shape=(7,), outputs=13, vocabulary=13, per_token=True, causal=True)
STEPS, BATCH, WIDTH, UNITS = 6, 3, 4, 5


def network(recipe: dict[str, Any], signature: Signature = TEXT, **options: Any) -> Any:
    torch.manual_seed(0)
    space = Recurrent(**{"layers": 2, "hidden": 6, "embedding": 4, **options})
    return space.build(Architecture.of(recipe), signature)


def plain(layer: RecurrentLayer, graph: Graph, inputs: Tensor) -> Tensor:
    """Returns what a cell computes, node by node as the recipe says, in the plainest way."""
    weights = dict(zip(in_order(graph), layer.parts, strict=True))
    count = states(graph)
    held = [torch.zeros(inputs.shape[1], UNITS, dtype=inputs.dtype) for _ in range(count)]
    result = []
    for x in inputs:
        values = {"x": x} | {f"h_prev_{i}": state for i, state in enumerate(held)}

        def value(name: str, values: dict[str, Tensor] = values) -> Tensor:
            if name in values:
                return values[name]
            op, inputs_ = graph[name]
            given = [value(each) for each in inputs_]
            if op == "linear":
                matrices = cast("list[nn.Linear]", list(cast(nn.ModuleList, weights[name])))
                done = sum(g @ m.weight.T for g, m in zip(given, matrices, strict=True))
                return done + matrices[0].bias
            if op == "blend":
                return given[0] * given[1] + (1 - given[0]) * given[2]
            if op == "elementwise_prod":
                return given[0] * given[1]
            if op == "elementwise_sum":
                return given[0] + given[1]
            if op == "activation_leaky_relu":
                return torch.where(given[0] > 0, given[0], 0.01 * given[0])
            return {"activation_tanh": torch.tanh, "activation_sigm": torch.sigmoid}[op](given[0])

        held = [value(f"h_new_{i}") for i in range(count)]
        result.append(held[0])
    return torch.stack(result)


def test_a_layer_computes_what_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    graphs = [sample_graph(rng) for _ in range(40)]
    graphs += [from_recipe(recipe) for recipe in (RNN, LSTM, GRU)]
    for graph in graphs:
        layer = RecurrentLayer(graph, WIDTH, UNITS, 1).double()
        inputs = torch.randn(STEPS, BATCH, WIDTH, dtype=torch.float64)
        torch.testing.assert_close(layer(inputs), plain(layer, graph, inputs))


def test_the_canonical_cell_computes_the_same_with_the_same_weights() -> None:
    """Weights are tied by giving every linear node those of one drawn for what it reads."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        graph = sample_graph(rng)
        form = from_recipe(Recurrent().parse(to_recipe(graph)).spec)
        inputs = torch.randn(STEPS, BATCH, WIDTH, dtype=torch.float64)
        outputs = []
        for each in (graph, form):
            layer = RecurrentLayer(each, WIDTH, UNITS, 1).double()
            _tie(layer, each)
            outputs.append(layer(inputs))
        torch.testing.assert_close(*outputs)


def _tie(layer: RecurrentLayer, graph: Graph) -> None:
    """Gives each matrix weights that only depend on what the node and its input unfold to."""
    texts: dict[str, str] = {}
    # States other than the first may be renumbered, so they all count alike here.
    names = {name: "h" for name in ("h_prev_1", "h_prev_2")}
    for name, part in zip(in_order(graph), layer.parts, strict=True):
        op, inputs = graph[name]
        told = [texts.get(each, names.get(each, each)) for each in inputs]
        texts[name] = f"{op}({sorted(told) if op in COMMUTATIVE else told})"
        if op == "linear":
            for text, matrix in zip(told, cast(nn.ModuleList, part), strict=True):
                generator = torch.Generator().manual_seed(
                    zlib.crc32(f"{texts[name]} {text}".encode())
                )
                linear = cast(nn.Linear, matrix)
                linear.weight.data = torch.randn(
                    linear.weight.shape, generator=generator, dtype=torch.float64
                )
                if linear.bias is not None:
                    linear.bias.data.fill_(0.3)


def test_the_rnn_is_that_of_torch() -> None:
    layer = RecurrentLayer(from_recipe(RNN), WIDTH, UNITS, 1)
    theirs = nn.RNN(WIDTH, UNITS)
    of_x, of_state = cast("list[nn.Linear]", list(cast(nn.ModuleList, layer.parts[0])))
    theirs.weight_ih_l0.data, theirs.weight_hh_l0.data = of_x.weight.data, of_state.weight.data
    theirs.bias_ih_l0.data = of_x.bias.data
    nn.init.zeros_(theirs.bias_hh_l0)
    inputs = torch.randn(STEPS, BATCH, WIDTH)
    torch.testing.assert_close(layer(inputs), theirs(inputs)[0])


def test_the_lstm_with_a_sigmoid_at_its_output_is_that_of_torch() -> None:
    recipe = {**LSTM, "o_act": {"op": "activation_sigm", "input": ["o"]}}
    graph = from_recipe(recipe)
    layer = RecurrentLayer(graph, WIDTH, UNITS, 1)
    parts = dict(zip(graph, layer.parts, strict=True))
    theirs = nn.LSTM(WIDTH, UNITS)
    gates = [cast(nn.ModuleList, parts[name]) for name in ("j", "f", "i", "o")]  # torch: i f g o
    theirs.weight_ih_l0.data = torch.cat([cast(Tensor, gate[0].weight) for gate in gates]).detach()
    theirs.weight_hh_l0.data = torch.cat([cast(Tensor, gate[1].weight) for gate in gates]).detach()
    theirs.bias_ih_l0.data = torch.cat([cast(Tensor, gate[0].bias) for gate in gates]).detach()
    nn.init.zeros_(theirs.bias_hh_l0)
    inputs = torch.randn(STEPS, BATCH, WIDTH)
    torch.testing.assert_close(layer(inputs), theirs(inputs)[0])


def test_the_gru_is_the_published_one() -> None:
    """Torch's own resets after the product with the state's matrix, so it is written out here."""
    graph = from_recipe(GRU)
    layer = RecurrentLayer(graph, WIDTH, UNITS, 1)
    parts = {name: cast(Any, part) for name, part in zip(graph, layer.parts, strict=True)}
    inputs = torch.randn(STEPS, BATCH, WIDTH)
    state, expected = torch.zeros(BATCH, UNITS), []
    for x in inputs:
        reset, keep = (
            torch.sigmoid(parts[name][0](x) + parts[name][1](state)) for name in ("r", "z")
        )
        fresh = torch.tanh(parts["h_tilde"][0](x) + parts["h_tilde"][1](reset * state))
        state = keep * state + (1 - keep) * fresh
        expected.append(state)
    torch.testing.assert_close(layer(inputs), torch.stack(expected))


def test_parameters_are_those_of_the_published_networks(shared_data: Path) -> None:
    space = Recurrent(layers=3, hidden=600, embedding=400)
    words = Signature(
        input_shape=(70,), outputs=10_000, vocabulary=10_000, per_token=True, causal=True
    )
    with gzip.open(shared_data / "nas_bench_nlp_ptb.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in itertools.islice(file, 400)]
    tied = 10_000 * 401
    assert all(
        published_params(from_recipe(row["recipe"])) + tied == row["num_params"] for row in rows
    )
    with torch.device("meta"):
        for row in rows[:3]:
            built = space.build(Architecture.of(row["recipe"]), words)
            assert count_params(built) == row["num_params"]


def test_initial_weights_follow_the_published_rule() -> None:
    built = network(LSTM, layers=3, hidden=100, embedding=64)
    assert 0.099 < built.embed.weight.abs().max() <= 0.1
    assert built.head.weight is built.embed.weight
    assert (built.head.bias == 0).all()
    for layer, units in zip(built.layers, (100, 100, 64), strict=True):
        for parameter in layer.parameters():
            assert 0.9 / math.sqrt(units) < parameter.abs().max() <= 1 / math.sqrt(units)


def test_predictions_depend_on_the_past_only() -> None:
    built = network(LSTM)
    ids = torch.randint(13, (2, 7))
    changed = ids.clone()
    changed[:, 4:] = (changed[:, 4:] + 1) % 13
    before, after = built(ids), built(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("weights", ["trained", "frozen"])
def test_frozen_are_the_matrices_that_x_does_not_feed(weights: str) -> None:
    built = network(GRU, recurrent_weights=weights)
    functional.cross_entropy(
        built(torch.randint(13, (2, 7))).flatten(0, 1), torch.randint(13, (14,))
    ).backward()
    linears = [m for m in built.layers.modules() if isinstance(m, nn.Linear)]
    assert {m.reads for m in linears} == {"x", "hidden", "node"}
    for linear in linears:
        is_learning = weights == "trained" or linear.reads == "x"
        assert (linear.weight.grad is not None) == is_learning
        assert linear.bias is None or linear.bias.grad is not None
    assert built.embed.weight.grad is not None


def test_a_single_answer_reads_the_last_state_or_the_mean() -> None:
    series = Signature(input_shape=(2, 9), outputs=3)
    inputs = torch.randn(4, 2, 9)
    last, mean = (network(RNN, series, reading=reading) for reading in ("last", "mean"))
    values = last.embed(inputs.transpose(1, 2)).transpose(0, 1)
    for layer in last.layers:
        values = layer(values)
    torch.testing.assert_close(last(inputs), last.head(values[-1]))
    torch.testing.assert_close(mean(inputs), mean.head(values.mean(dim=0)))


def test_a_series_can_have_an_answer_a_step_and_an_image_is_read_by_rows() -> None:
    steps = Signature(input_shape=(2, 9), outputs=3, per_token=True)
    assert network(RNN, steps)(torch.randn(4, 2, 9)).shape == (4, 9, 3)
    image = network(RNN, Signature(input_shape=(3, 8, 5), outputs=3))
    seen: list[Tensor] = []
    tap = next(m for m in image.modules() if isinstance(m, EmbeddingTap))
    tap.register_forward_hook(lambda _, __, output: seen.append(output))
    inputs = torch.randn(4, 3, 8, 5)
    image(inputs)
    assert seen[0].shape == (4, 8, 4)
    torch.testing.assert_close(seen[0][:, 2], image.embed(inputs[:, :, 2].flatten(1)))


def test_other_inputs_are_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"read tokens, series .* not inputs of shape \(5,\)"):
        network(RNN, Signature(input_shape=(5,), outputs=3))


def test_taps_tell_the_states_that_enter_each_step() -> None:
    built: RecurrentNetwork = network(LSTM, layers=2)
    entered: dict[int, list[Tensor]] = {1: [], 2: []}
    called = []
    for module in built.modules():
        if isinstance(module, HiddenTap):
            module.register_forward_hook(lambda m, _, output: entered[m.layer].append(output))
        if isinstance(module, EmbeddingTap | RepresentationTap):
            module.register_forward_hook(lambda m, _, output: called.append((type(m), output)))
    built(torch.randint(13, (2, 7)))
    assert [kind for kind, _ in called] == [EmbeddingTap, RepresentationTap]
    embedded, represented = (output for _, output in called)
    assert embedded.shape == (2, 7, 4)
    first, second = (torch.stack(found) for found in entered.values())
    assert len(first) == len(second) == 7
    assert (first[0] == 0).all()
    assert (second[0] == 0).all()
    torch.testing.assert_close(first[1:], built.layers[0](embedded.transpose(0, 1))[:-1])
    torch.testing.assert_close(second[1:], represented.transpose(0, 1)[:-1])


def test_the_network_goes_on_with_what_a_tap_returns() -> None:
    built = network(RNN, layers=1)
    ids = torch.randint(13, (2, 7))
    before = built(ids)
    tap = next(m for m in built.modules() if isinstance(m, HiddenTap))
    tap.register_forward_hook(lambda _, __, output: torch.zeros_like(output))
    after = built(ids)
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_activations_are_modules_of_their_own_called_once_a_step() -> None:
    built = network(LSTM, layers=2)
    kinds = (nn.Tanh, nn.Sigmoid, nn.LeakyReLU)
    modules = [module for module in built.modules() if isinstance(module, kinds)]
    assert len(modules) == 2 * 5
    calls = []
    for module in modules:
        module.register_forward_hook(lambda m, _, __: calls.append(m))
    built(torch.randint(13, (2, 7)))
    assert len(calls) == 7 * len(modules)


def test_every_multiplication_is_seen_by_the_count_of_flops() -> None:
    built = network(RNN, layers=1, hidden=6, embedding=4)
    # a step: 4 x 4 + 4 x 4 + bias in the cell (as wide as the embedding), 4 x 13 + 13 to decode
    assert count_flops(built, TEXT) == 7 * (16 + 4 + 16 + 52 + 13)


@pytest.mark.parametrize("signature", [TEXT, Signature(input_shape=(2, 9), outputs=3)])
def test_the_source_of_a_network_stands_alone(signature: Signature) -> None:
    built = network(LSTM, signature)
    source, call = definitions(lambda: network(LSTM, signature))
    names: dict[str, Any] = {}
    exec(f"{source}\n\ncopy = {call}", names)
    names["copy"].load_state_dict(built.state_dict())
    inputs = torch.randint(13, (4, 7)) if signature is TEXT else torch.randn(4, 2, 9)
    assert torch.equal(names["copy"](inputs), built(inputs))
    assert "vitruvius" not in source


def test_twins_that_the_hash_of_the_table_merges_are_different_networks() -> None:
    """Two linear nodes that read alike have two sets of weights; one read twice has one."""
    once = {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "activation_tanh", "input": ["a"]},
        "c": {"op": "linear", "input": ["b", "h_prev_0"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["b", "c"]},
    }
    twice = {
        **once,
        "d": {"op": "linear", "input": ["x", "h_prev_0"]},
        "e": {"op": "activation_tanh", "input": ["d"]},
        "h_new_0": {"op": "elementwise_prod", "input": ["e", "c"]},
    }
    inputs = torch.randn(STEPS, BATCH, WIDTH, dtype=torch.float64)
    layers = [RecurrentLayer(from_recipe(r), WIDTH, UNITS, 1).double() for r in (once, twice)]
    free = [layer(inputs) for layer in layers]
    assert not torch.allclose(*free)
    for layer, recipe in zip(layers, (once, twice), strict=True):
        _tie(layer, from_recipe(recipe))
    torch.testing.assert_close(*[layer(inputs) for layer in layers])
    assert count_params(layers[0]) < count_params(layers[1])
    assert Recurrent().parse(once) != Recurrent().parse(twice)
