"""The FlexiBERT spaces: canonical forms, sampler, moves, parameters counted without building."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.builders.transformer import Transformer
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, SearchSpace, Signature
from vitruvius.spaces.testing import SearchSpaceContract
from vitruvius.spaces.transformers.features import EMBEDDING, body_params
from vitruvius.spaces.transformers.form import (
    FULL,
    OPERATIONS,
    SUBSPACE,
    BuiltAs,
    Layer,
    built_layers,
    layers_of,
    without_idle_choices,
    written,
)
from vitruvius.spaces.transformers.space import FlexiBert, FlexiBertFull, FlexiBertTrained
from vitruvius.tools.passes.flops import count_params

VOCABULARY, POSITIONS, TOKEN_TYPES = 30_522, 512, 2  # of the published networks
SIGNATURES = (
    Signature(input_shape=(1, 16), outputs=5),
    Signature(input_shape=(3, 4, 4), outputs=5),
    Signature(input_shape=(16,), outputs=5, vocabulary=20),
    Signature(input_shape=(16,), outputs=20, vocabulary=20, per_token=True),
    Signature(input_shape=(16,), outputs=2, vocabulary=20, per_token=True),
)


def layer(**changes: Any) -> dict[str, Any]:
    return {"operation": "sdp", "heads": 2, "ff_width": 512, "ff_layers": 1, **changes}


def small(*layers: dict[str, Any], hidden: int = 128) -> dict[str, Any]:
    return {"hidden": hidden, "layers": [*layers]}


class TestFlexiBert(SearchSpaceContract):
    signatures = SIGNATURES

    @pytest.fixture
    def space(self) -> SearchSpace:
        return FlexiBert()


class TestFlexiBertFull(SearchSpaceContract):
    signatures = SIGNATURES[:1]

    @pytest.fixture
    def space(self) -> SearchSpace:
        return FlexiBertFull()


class TestCausalFlexiBert(SearchSpaceContract):
    signatures = (replace(SIGNATURES[3], causal=True),)

    @pytest.fixture
    def space(self) -> SearchSpace:
        return FlexiBert(causal="yes")


class TestFlexiBertTrained(SearchSpaceContract):
    signatures = SIGNATURES[3:]

    @pytest.fixture
    def space(self) -> SearchSpace:
        return FlexiBertTrained(scale=4, dropout=10)


@pytest.mark.parametrize(
    "ref",
    [
        "flexibert",
        "flexibert:scale=2,causal=yes",
        "flexibert_full:scale=4",
        "flexibert_trained:scale=1,dropout=10",
    ],
)
def test_a_space_is_loaded_again_from_its_ref(ref: str) -> None:
    space = load_space(ref)
    assert space.ref == ref
    assert space.name == ref.split(":")[0]
    assert load_space(space.ref) == space
    assert space != load_space(ref.split(":")[0] + ":scale=2,dropout=20")


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("flexibert:scale=3", "one of 1, 2, 4, 8"),
        ("flexibert:scale=16", "one of 1, 2, 4, 8"),
        ("flexibert:dropout=0.1", "whole percent"),
        ("flexibert:dropout=99", "whole percent"),
        ("flexibert:causal=maybe", "yes or no"),
        ("flexibert:full=yes", "it has scale, dropout, causal"),
        ("flexibert_trained:causal=yes", "it has scale, dropout"),
    ],
)
def test_other_options_are_refused(ref: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_space(ref)


@pytest.mark.parametrize("ref", ["flexibert:scale=4", "flexibert:dropout=50"])
def test_sizes_and_dropout_change_what_is_built(ref: str) -> None:
    spec, outputs = small(layer(), layer()), []
    for space in (FlexiBert(), load_space(ref)):
        assert isinstance(space, FlexiBert)
        torch.manual_seed(0)
        outputs.append(space.build(space.parse(spec), SIGNATURES[0])(torch.ones(2, 1, 16)))
    assert not torch.equal(*outputs)


def test_a_causal_space_has_no_transforms() -> None:
    space = FlexiBertFull(causal="yes")
    assert space.menu.operations == ("sdp", "wma", "dsc5", "dsc9", "dsc13")
    assert not any("transform" in feature.name for feature in space.features)
    spec = FlexiBert(causal="yes").parse(small(layer(operation="wma"), layer())).spec
    with pytest.raises(ToolError, match="must be one of sdp, wma, dsc5, dsc9, not 'dct'"):
        FlexiBert(causal="yes").parse({**spec, "layers": [layer(operation="dct"), layer()]})


def test_heads_of_a_cosine_transform_are_the_only_idle_choice() -> None:
    space = FlexiBert()
    for operation, heads in itertools.product(SUBSPACE.operations, SUBSPACE.heads):
        spec = small(layer(operation=operation, heads=heads), layer())
        kept = space.parse(spec).spec == spec
        assert kept == (operation != "dct" or heads == 2)


def test_trained_networks_forget_operations_and_widths_of_single_feed_forward_layers() -> None:
    space = FlexiBertTrained()
    merged = small(layer(operation="dsc9", heads=4, ff_width=1024), layer(operation="dct"))
    assert space.parse(merged).spec == small(layer(heads=4), layer())
    kept = small(layer(ff_layers=3, ff_width=1024), layer(heads=4), hidden=256)
    assert space.parse(kept).spec == kept


def test_there_are_as_many_architectures_as_published() -> None:
    space = FlexiBertTrained()
    members = space.members()
    assert len(members) == len(set(members)) == 2 * (6**2 + 6**4) == 2664
    assert all(space.canonical(member) == member for member in members)
    choices = [
        Layer(hidden=128, **dict(zip(SUBSPACE.of_layer, row, strict=True)))
        for row in itertools.product(*SUBSPACE.of_layer.values())
    ]
    assert 2 * (len(choices) ** 2 + len(choices) ** 4) == 10_621_440
    different = len(set(without_idle_choices(tuple(choices), SUBSPACE, "specified")))
    assert 2 * (different**2 + different**4) == 7_500_064


def test_the_sampler_draws_the_kind_of_operation_first() -> None:
    space, rng = FlexiBertFull(), np.random.default_rng(0)
    drawn = [layers_of(space.sample(rng)) for _ in range(3000)]
    kinds = Counter(one.kind for layers in drawn for one in layers)
    operations = Counter(one.operation for layers in drawn for one in layers)
    depths = Counter(map(len, drawn))
    total = sum(kinds.values())
    for count in kinds.values():
        assert count / total == pytest.approx(1 / 3, abs=0.02)
    for name, share in (("sdp", 1 / 6), ("dct", 1 / 6), ("dsc13", 1 / 9)):
        assert operations[name] / total == pytest.approx(share, abs=0.02)
    for depth in FULL.depths:
        assert depths[depth] / len(drawn) == pytest.approx(1 / 3, abs=0.03)


def test_one_change_reaches_every_part() -> None:
    space = FlexiBert()
    start = space.parse(small(layer(), layer(operation="wma")))
    near = [one.spec for one in space.neighbours(start)]
    assert small(layer(), layer(operation="wma"), hidden=256) in near
    assert small(layer(operation="dft"), layer(operation="wma")) in near
    assert small(layer(), layer(operation="wma", heads=4)) in near
    assert small(layer(ff_width=1024), layer(operation="wma")) in near
    assert small(layer(), layer(operation="wma", ff_layers=3)) in near
    assert small(layer(operation="wma"), layer()) in near
    assert small(*[layer(), layer(operation="wma")] * 2) in near
    deep = space.parse(small(*[layer(), layer(operation="wma")] * 2))
    assert start in space.neighbours(deep)


def test_all_trained_networks_are_reached_by_moves() -> None:
    space = FlexiBertTrained()
    seen = {space.members()[0]}
    edge = list(seen)
    while edge:
        edge = [n for one in edge for n in space.neighbours(one) if n not in seen]
        edge = list(dict.fromkeys(edge))
        seen |= set(edge)
    assert seen == set(space.members())


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (small(layer()), "layers must be a list of 2 or 4 layers, not 1 of them"),
        (small(layer(), layer(heads=3)), "heads of layer 2 must be one of 2, 4, not 3"),
        (small(layer(), {"heads": 2}), "operation of layer 2 .* but is missing"),
        (small(layer(), layer(width=3)), "layer 2 has no part 'width'; its parts are operation"),
        (small(layer(), layer(), hidden=True), "hidden of the architecture .* not True"),
        ({"hidden": 128, "layers": [1, 2]}, "layer 1 must be an object, not 1"),
        ({"layers": [layer(), layer()]}, "hidden of the architecture .* is missing"),
        ([], 'expected an object {"hidden"'),
    ],
)
def test_what_is_wrong_is_said(spec: Any, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence):
        FlexiBert().parse(spec)


@pytest.mark.parametrize("space", [FlexiBert(), FlexiBertFull(scale=4), FlexiBertTrained(scale=2)])
def test_parameters_are_counted_without_building(space: FlexiBert) -> None:
    rng = np.random.default_rng(1)
    for signature in SIGNATURES:
        for _ in range(6):
            architecture = space.sample(rng)
            built = count_params(space.build(architecture, signature))
            assert space.params(architecture, signature) == built


def test_features_say_what_is_there() -> None:
    space = FlexiBert()
    spec = small(
        layer(operation="dct", ff_layers=3), layer(), layer(operation="dsc5", heads=4),
        layer(ff_width=1024), hidden=256,
    )  # fmt: skip
    row = dict(
        zip([f.name for f in space.features], space.featurise([space.parse(spec)])[0], strict=True)
    )
    assert (row["depth"], row["hidden"], row["mean_heads"], row["last_heads"]) == (4, 256, 2.5, 2)
    assert (row["mean_ff_layers"], row["first_ff_layers"], row["mean_ff_width"]) == (1.5, 3, 640)
    assert (row["share(operation=sdp)"], row["share(kind=transform)"]) == (0.5, 0.25)
    assert (row["first_layer(transform)"], row["last_layer(attention)"]) == (1, 1)
    assert row["changes_of_kind"] == 3
    network = FlexiBert(scale=1).build(Architecture.of(spec), SIGNATURES[0])
    assert isinstance(network, Transformer)
    assert 2 ** row["log2_params"] == pytest.approx(count_params(network.layers))


def test_features_of_trained_networks_leave_out_what_has_no_effect() -> None:
    names = {feature.name for feature in FlexiBertTrained().features}
    assert {"depth", "hidden", "mean_heads", "mean_ff_layers", "mean_ff_extra"} <= names
    assert not any("operation" in name or "ff_width" in name for name in names)


@pytest.mark.parametrize("space", [FlexiBert(), FlexiBertFull(), FlexiBert(causal="yes")])
def test_the_description_gives_a_legal_example(space: FlexiBert) -> None:
    (line,) = [text for text in space.describe().splitlines() if text.startswith("For example ")]
    spec = json.loads(line.removeprefix("For example "))
    assert space.parse(spec).spec == spec


def test_drawings_show_widths_as_built() -> None:
    spec = small(layer(ff_layers=3, operation="wma"), layer(), hidden=256)
    assert "wma    2 heads  256 -> 512 -> 512 -> 512 -> 256" in FlexiBert().draw(
        Architecture.of(spec)
    )
    assert "sdp    2 heads  256 -> 1024 -> 512 -> 512 -> 256" in FlexiBertTrained().draw(
        Architecture.of(spec)
    )


def published(row: dict[str, Any]) -> tuple[Layer, ...]:
    return tuple(
        Layer(
            hidden=row["hidden_size"],
            operation=f"dsc{one['param']}" if one["op"] == "DSC" else one["param"].lower(),
            heads=one["heads"],
            ff_width=one["ff_dim"],
            ff_layers=one["n_ff"],
        )
        for one in row["layers"]
    )


def published_params(layers: Sequence[Layer], built_as: BuiltAs) -> int:
    """Returns the parameters of the published encoders, without heads for any task.

    `specified`: those that the published metrics were meant for; there a transform has no
    normalisation (nor residual) of its own. `trained`: those that were trained. The stored
    metrics were computed on `specified` networks of hidden size 256 and feed-forward width 1,024,
    whatever was specified.
    """
    built = built_layers(layers, built_as)
    entry = (VOCABULARY + POSITIONS + TOKEN_TYPES + 2) * EMBEDDING
    if built[0].hidden != EMBEDDING:
        entry += (EMBEDDING + 1) * built[0].hidden
    lacking = sum(2 * one.hidden for one in built if OPERATIONS[one.operation] == "transform")
    return entry + body_params(built) - lacking


def measured_params(layers: Sequence[Layer]) -> int:
    """Returns the parameters of the networks that the published metrics were computed on."""
    return published_params(
        [replace(layer, hidden=256, ff_width=1024) for layer in layers], "specified"
    )


def test_published_parameter_counts_are_reproduced_for_all_500(shared_data: Path) -> None:
    rows = json.loads((shared_data / "flexibert.json").read_text())["architectures"]
    assert len(rows) == 500
    for row in rows:
        layers = published(row)
        assert measured_params(layers) == row["metrics"]["num_params_as_logged_h256_ff1024"]
        assert published_params(layers, "specified") == row["params_nominal_spec"]
        assert published_params(layers, "trained") == row["params_effective_tf"]


def test_published_sizes_are_those_of_what_we_build(shared_data: Path) -> None:
    """Without kinds of tokens and the head; a transform has a normalisation of its own here."""
    rows = json.loads((shared_data / "flexibert.json").read_text())["architectures"][:3]
    signature = Signature(input_shape=(512,), outputs=1, vocabulary=30_522)
    for space, key in (
        (FlexiBert(scale=1), "params_nominal_spec"),
        (FlexiBertTrained(scale=1), "params_effective_tf"),
    ):
        for row in rows:
            layers = published(row)
            built = count_params(space.build(written(layers, SUBSPACE), signature))
            head, kinds_of_tokens = row["hidden_size"] + 1, 2 * 128
            lacks = 2 * row["hidden_size"] * sum(one.kind == "transform" for one in layers)
            lacks *= space.built_as == "specified"
            assert built - head == row[key] - kinds_of_tokens + lacks


def test_a_layer_is_a_value() -> None:
    one = published({"hidden_size": 128, "layers": [
        {"op": "DSC", "param": 5, "heads": 2, "ff_dim": 512, "n_ff": 1}
    ]})[0]  # fmt: skip
    assert replace(one, operation="dft").kind == "transform"
