"""The recurrent space: recipes, canonical form, sampler, moves, features."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces import region
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.recurrent.canonical import canonical_graph
from vitruvius.spaces.recurrent.features import FEATURES
from vitruvius.spaces.recurrent.graph import (
    CLASSICS,
    COMMUTATIVE,
    GRU,
    LSTM,
    MAX_STATES,
    RNN,
    Graph,
    Node,
    X,
    direct_reads,
    from_recipe,
    in_order,
    new,
    outputs,
    previous,
    problems,
    pruned,
    read_recipe,
    states,
)
from vitruvius.spaces.recurrent.moves import sample_graph
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import SearchSpace, Signature
from vitruvius.spaces.testing import SearchSpaceContract

TEXT = Signature(input_shape=(9,), outputs=11, vocabulary=11, per_token=True, causal=True)
TWIN_CLASSES = 17  # of the shared table's hash: one linear node read twice, and two that read alike
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close look at what a cut leaves takes 20,000 draws of the sampler."""
    monkeypatch.setattr(region, "CLOSE_DRAWS", region.REFERENCE_DRAWS)


@pytest.mark.usefixtures("few_draws")
class TestRecurrent(SearchSpaceContract):
    signatures = (
        TEXT,
        Signature(input_shape=(9,), outputs=3, vocabulary=11),
        Signature(input_shape=(2, 9), outputs=5),
        Signature(input_shape=(3, 8, 8), outputs=5),
    )

    @pytest.fixture
    def space(self) -> SearchSpace:
        return Recurrent(layers=2, hidden=8, embedding=6)


@pytest.mark.usefixtures("few_draws")
class TestPoolOfCells(SearchSpaceContract):
    signatures = (TEXT,)

    @pytest.fixture
    def space(self) -> SearchSpace:
        rng = np.random.default_rng(0)
        cells = Recurrent(hidden=8, embedding=6)
        return Pool(cells, [cells.sample(rng) for _ in range(100)])


@pytest.fixture(scope="module")
def logged(shared_data: Path) -> list[dict[str, Any]]:
    with gzip.open(shared_data / "nas_bench_nlp_ptb.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def disguised(graph: Graph, rng: np.random.Generator) -> Graph:
    """Returns the same cell in other words: names, order, numbers of the states but the first."""
    count = states(graph)
    numbers = [0, *(1 + rng.permutation(count - 1)).tolist()]
    named = {new(old): new(number) for old, number in enumerate(numbers)}
    read = {previous(old): previous(number) for old, number in enumerate(numbers)}
    others = [name for name in graph if name not in named]
    places = rng.permutation(len(others))
    names = named | read | {name: f"n{i}" for i, name in zip(places, others, strict=True)}
    shuffled = {}
    for place in rng.permutation(len(graph)):
        name, (op, inputs) = list(graph.items())[place]
        order = rng.permutation(len(inputs)) if op in COMMUTATIVE else range(len(inputs))
        given_ = tuple(names.get(inputs[i], inputs[i]) for i in order)
        shuffled[names[name]] = Node(op, given_)
    return shuffled


def unfolded(graph: Graph) -> str:
    """Returns what every new state unfolds to, as if nodes that read the same were one node.

    Two cells have the same text if they compute the same function when linear nodes that read
    the same also share their weights. This is the equality of the hash `canon` in the shared
    copy of NAS-Bench-NLP, except that hidden states other than the first may be renumbered.
    """
    return min(_unfolded(graph, (0, *rest)) for rest in permutations(range(1, states(graph))))


def _unfolded(graph: Graph, numbers: Sequence[int]) -> str:
    texts = {X: X} | {previous(old): previous(number) for old, number in enumerate(numbers)}
    for name in in_order(graph):
        op, inputs = graph[name]
        parts = [texts[each] for each in inputs]
        texts[name] = f"{op}({','.join(sorted(parts) if op in COMMUTATIVE else parts)})"
    named = sorted((numbers[state], texts[name]) for state, name in enumerate(outputs(graph)))
    return "|".join(text for _, text in named)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_the_same_cell_in_other_words_has_the_same_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = sample_graph(rng)
    assert canonical_graph(disguised(graph, rng)) == canonical_graph(graph)
    assert unfolded(disguised(graph, rng)) == unfolded(graph)


def is_same(first: Graph, second: Graph) -> bool:
    """Returns whether two cells are the same up to names, by trying all of them."""
    if len(first) != len(second):
        return False
    kept = outputs(first)
    free = [name for name in second if name not in outputs(second)]

    def sorted_graph(graph: Graph, names: dict[str, str]) -> dict[str, Node]:
        renamed = {}
        for name, (op, inputs) in graph.items():
            told = [names.get(each, each) for each in inputs]
            renamed[names.get(name, name)] = Node(
                op, tuple(sorted(told) if op in COMMUTATIVE else told)
            )
        return renamed

    target = sorted_graph(second, {})
    for numbers in itertools.permutations(range(1, len(kept))):
        states_ = dict(zip(kept[1:], map(new, numbers), strict=True))
        states_ |= {previous(old): previous(number) for old, number in enumerate(numbers, start=1)}
        inner = [name for name in first if name not in kept]
        for order in itertools.permutations(free):
            if sorted_graph(first, states_ | dict(zip(inner, order, strict=False))) == target:
                return True
    return False


def test_small_cells_have_one_form_just_where_names_make_them_one() -> None:
    rng = np.random.default_rng(5)
    graphs = [graph for graph in (sample_graph(rng) for _ in range(400)) if len(graph) <= 5]
    for first, second in itertools.islice(itertools.combinations(graphs, 2), 4000):
        if sorted(n.op for n in first.values()) == sorted(n.op for n in second.values()):
            assert (canonical_graph(first) == canonical_graph(second)) == is_same(first, second)


def test_many_alike_parts_cost_no_search() -> None:
    graph: Graph = {}
    for i in range(9):
        graph[f"l{i}"] = Node("linear", ("x", "h_prev_0"))
        graph[f"t{i}"] = Node("activation_tanh", (f"l{i}",))
    for i in range(3):
        graph[f"s{i}"] = Node("linear", tuple(f"t{3 * i + j}" for j in range(3)))
    graph["h_new_0"] = Node("linear", ("s0", "s1", "s2"))
    form = canonical_graph(graph)
    rng = np.random.default_rng(0)
    assert all(canonical_graph(disguised(graph, rng)) == form for _ in range(3))


def test_nodes_without_weights_that_compute_the_same_are_one() -> None:
    space = Recurrent()
    once = space.parse(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "b": {"op": "activation_tanh", "input": ["a"]},
            "h_new_0": {"op": "linear", "input": ["b", "h_prev_0"]},
            "h_new_1": {"op": "elementwise_prod", "input": ["b", "c"]},
            "c": {"op": "linear", "input": ["b", "h_prev_1"]},
        }
    )
    twice = space.parse(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "b": {"op": "activation_tanh", "input": ["a"]},
            "d": {"op": "activation_tanh", "input": ["a"]},
            "h_new_0": {"op": "linear", "input": ["b", "h_prev_0"]},
            "h_new_1": {"op": "elementwise_prod", "input": ["c", "d"]},
            "c": {"op": "linear", "input": ["d", "h_prev_1"]},
        }
    )
    assert once == twice


def test_an_output_that_repeats_a_node_stands_for_it() -> None:
    graph = from_recipe(
        {
            "a": {"op": "linear", "input": ["x", "h_prev_0"]},
            "b": {"op": "activation_tanh", "input": ["a"]},
            "c": {"op": "linear", "input": ["b", "h_prev_1"]},
            "h_new_0": {"op": "activation_tanh", "input": ["a"]},
            "h_new_1": {"op": "activation_sigm", "input": ["c"]},
        }
    )
    form = canonical_graph(graph)
    assert len(form) == 4
    assert (
        "h_new_0"
        in form[
            next(
                n
                for n in form
                if form[n].inputs[-1:] == ("h_prev_1",) or "h_prev_1" in form[n].inputs
            )
        ].inputs
    )
    assert canonical_graph(form) == form


def test_classes_of_the_shared_table_are_ours_but_for_twins(logged: list[dict[str, Any]]) -> None:
    """Our form is equal where the table's hash is, except where the hash takes two linear nodes
    that read alike, each with its own weights, for one: there the parameters differ.
    """
    space, params = Recurrent(), {}
    by_hash, by_form, by_unfolding = defaultdict(set), defaultdict(set), defaultdict(set)
    for row in logged:
        form = space.parse(row["recipe"])
        by_hash[row["canon"]].add(form)
        by_form[form].add(row["canon"])
        by_unfolding[unfolded(read_recipe(row["recipe"]))].add(row["canon"])
        assert params.setdefault(form, row["num_params"]) == row["num_params"]
    assert all(len(hashes) == 1 for hashes in by_form.values())
    assert all(len(hashes) == 1 for hashes in by_unfolding.values())
    assert len(by_unfolding) == len(by_hash)
    split = [forms for forms in by_hash.values() if len(forms) > 1]
    assert len(split) == TWIN_CLASSES
    assert all(len({params[form] for form in forms}) == len(forms) for forms in split)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_draws_and_mutants_obey_the_published_rules(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = Recurrent()
    cell = space.sample(rng)
    for _ in range(4):
        graph = from_recipe(cell.spec)
        assert not problems(graph)
        assert not direct_reads(graph)
        assert pruned(graph) == graph
        assert states(graph) <= MAX_STATES
        cell = space.mutate(cell, rng)
        assert space.parse(cell.spec) == cell


def test_draws_are_like_the_published_list(logged: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_graph(rng) for _ in range(600)]
    listed = [read_recipe(row["recipe"]) for row in logged[3::7]]
    for ours, theirs in ((drawn, listed),):
        shares = [
            np.bincount([states(g) for g in group], minlength=4) / len(group)
            for group in (ours, theirs)
        ]
        np.testing.assert_allclose(*shares, atol=0.06)
        sizes = [np.mean([len(g) for g in group]) for group in (ours, theirs)]
        assert abs(sizes[0] - sizes[1]) < 1
        linear = [
            np.mean([node.op == "linear" for g in group for node in g.values()])
            for group in (ours, theirs)
        ]
        assert abs(linear[0] - linear[1]) < 0.03


def test_every_kind_of_move_leads_somewhere() -> None:
    space = Recurrent()
    cell = space.parse(LSTM)
    near = space.neighbours(cell)
    here = from_recipe(cell.spec)
    sizes = {len(each.spec) - len(here) for each in near}
    counts = {states(from_recipe(each.spec)) for each in near}
    assert {-1, 0, 1} <= sizes
    assert {1, 2, 3} <= counts
    rng = np.random.default_rng(0)
    assert {space.mutate(cell, rng) for _ in range(20)} <= set(near)


def test_the_published_gru_may_keep_its_direct_read_but_gain_none() -> None:
    space = Recurrent()
    near = space.neighbours(space.parse(GRU))
    assert {direct_reads(from_recipe(each.spec)) for each in near} == {0, 1}


FINE = {"a": {"op": "linear", "input": ["x", "h_prev_0"]}}
WRONG: list[tuple[Any, str]] = [
    ({}, "expected a recipe such as"),
    ({"h_new_0": {"op": "relu", "input": ["x"]}}, "operation of h_new_0 must be one of linear"),
    ({"h_new_0": {"op": "linear", "input": ["x"]}}, "linear takes 2 or 3 inputs, h_new_0 has 1"),
    ({"h_new_0": {"op": "linear", "input": "x"}}, "must be a list of names"),
    ({"h_new_0": {"op": "linear"}}, "must be"),
    (FINE, "the new hidden states must be h_new_0, h_new_1"),
    ({**FINE, "h_new_1": {"op": "activation_tanh", "input": ["a"]}}, "must be h_new_0, h_new_1"),
    ({**FINE, "h_new_0": {"op": "activation_tanh", "input": ["b"]}}, "'b', which is none of x, h"),
    ({**FINE, "h_new_0": {"op": "activation_tanh", "input": ["x"]}}, "only linear may read x"),
    ({"h_new_0": {"op": "linear", "input": ["x", "h_prev_1"]}}, "no node is h_new_1"),
    ({"h_new_0": {"op": "linear", "input": ["x", "x"]}}, "h_prev_0 must reach"),
    ({"h_new_0": {"op": "linear", "input": ["x", "h_new_0"]}}, "must not depend on themselves"),
    (
        {
            "a": {"op": "linear", "input": ["x", "b"]},
            "b": {"op": "linear", "input": ["a", "h_prev_0"]},
            "h_new_0": {"op": "activation_tanh", "input": ["a"]},
        },
        "must not depend on themselves",
    ),
    ({"x": {"op": "linear", "input": ["x", "h_prev_0"]}}, "x is an input of the cell"),
    ({f"n{i}": FINE["a"] for i in range(25)}, "at most 24 nodes, this one has 25"),
    ("{", "expected a recipe as JSON"),
]


@pytest.mark.parametrize(("spec", "sentence"), WRONG)
def test_wrong_recipes_are_refused_in_a_sentence(spec: Any, sentence: str) -> None:
    with pytest.raises(ToolError, match=sentence):
        Recurrent().parse(spec)


def test_nodes_without_effect_are_left_out() -> None:
    space = Recurrent()
    more = {**RNN, "dead": {"op": "elementwise_sum", "input": ["f", "h_prev_0"]}}
    assert space.parse(more) == space.parse(RNN) == space.parse(json.dumps(RNN))


def features_of(recipe: dict[str, Any]) -> dict[str, float]:
    space = Recurrent()
    row = space.featurise([space.parse(recipe)])[0]
    return {feature.name: value for feature, value in zip(FEATURES, row.tolist(), strict=True)}


def test_features_say_what_the_classics_are() -> None:
    rnn, lstm, gru = (features_of(CLASSICS[name]) for name in ("rnn", "lstm", "gru"))
    assert (rnn["nodes"], rnn["states"], rnn["output(tanh)"]) == (2, 1, 1)
    assert (lstm["states"], lstm["output(prod)"], lstm["gates(prod)"]) == (2, 1, 2)
    assert (lstm["matrices"], lstm["matrices(x)"], lstm["matrices(state)"]) == (8, 4, 4)
    assert (lstm["carry(h_0)"], lstm["carries"]) == (0, 1)
    assert (gru["carry(h_0)"], gru["gates(blend)"], gru["gates(prod)"]) == (1, 1, 1)
    assert (gru["depth(x -> output)"], gru["shortest(x -> output)"]) == (2, 1)
    assert (gru["ways(x -> output)"], gru["ways(h_0 -> output)"]) == (3, 4)
    assert (gru["open(x -> output)"], gru["open(h_0 -> output)"]) == (1, 2)
    assert [each["joint_linears"] for each in (rnn, lstm, gru)] == [1, 4, 2]
    assert [each["positive_reads"] for each in (rnn, lstm, gru)] == [0, 0, 0]
    assert [each["bounded(output)"] for each in (rnn, lstm, gru)] == [1, 1, 1]
    assert lstm["unbounded_states"] == 1  # f * c + i * j may grow by one a step
    assert [each["live_states"] for each in (rnn, lstm, gru)] == [1, 2, 1]


def test_features_find_a_cell_that_stays_at_zero_and_one_that_waits() -> None:
    dead = {
        "a": {"op": "linear", "input": ["x", "h_prev_0"]},
        "b": {"op": "elementwise_prod", "input": ["a", "h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": ["b"]},
    }
    assert features_of(dead)["constant(output)"] == 1
    late = {
        "a": {"op": "linear", "input": ["h_prev_0", "h_prev_1"]},
        "h_new_0": {"op": "activation_sigm", "input": ["a"]},
        "b": {"op": "linear", "input": ["x", "h_prev_1"]},
        "h_new_1": {"op": "activation_tanh", "input": ["b"]},
    }
    found = features_of(late)
    assert (found["delay"], found["ways(x -> output)"], found["positive(output)"]) == (1, 0, 1)
    assert features_of(RNN)["delay"] == 0


def test_drawing_is_one_equation_a_line() -> None:
    space = Recurrent()
    assert space.draw(space.parse(RNN)).splitlines() == [
        "node_0 = linear(x, h_prev_0)",
        "h_new_0 = tanh(node_0)",
    ]


def test_references_name_the_skeleton() -> None:
    published = load_space("recurrent:layers=3,hidden=600,embedding=400")
    assert published.ref == "recurrent:layers=3,hidden=600,embedding=400"
    assert load_space("recurrent").ref == "recurrent"
    frozen = load_space("recurrent:recurrent_weights=frozen,reading=mean")
    assert len({published.id, frozen.id, Recurrent().id}) == 3
    for ref, sentence in (
        ("recurrent:layers=0", "layers must be a whole number"),
        ("recurrent:recurrent_weights=none", "must be trained or frozen"),
        ("recurrent:reading=first", "must be last or mean"),
        ("recurrent:width=3", "has no option 'width'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            load_space(ref)
