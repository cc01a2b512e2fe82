import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tapped import VOCABULARY, Recurrent, Transformer
from torch import nn
from torch.nn import functional

from vitruvius.errors import ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Signature
from vitruvius.tasks.data.datasets import create_dataset_task
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.nas_bench_201 import read_nas_bench_201
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.passes.scoring import measure, score
from vitruvius.tools.proxies import PROXIES, Formula, Proxy, computable, proxies_for
from vitruvius.tools.testing import ProxyContract

BEYOND = tuple(f"hidden_covariance_{layer}" for layer in (3, 4, 5, 6))  # layers of deeper networks
ALL = list(computable(Cell(), create_dataset_task(np.zeros((80, 40)), np.arange(80) % 4)))
FEW = ("params", "flops", "naswot", "synflow", "grad_norm", "snip")
RECURRENT = [name for name in PROXIES if "hidden" in name and not name.startswith(BEYOND)]
TRANSFORMER = [name for name in PROXIES if name not in ALL and "hidden" not in name]
ZEN = "it needs a network of convolutions, without an embedding"
TOKENS = Signature(input_shape=(5,), outputs=VOCABULARY, vocabulary=VOCABULARY, per_token=True)


@pytest.mark.parametrize("name", [name for name in ALL if name != "synaptic_saliency_published"])
class TestProxies(ProxyContract):
    @pytest.fixture
    def proxy(self, name: str) -> Proxy:
        return PROXIES[name]


class OnTokens(ProxyContract):
    """The contract on a network of tokens, some of which are not judged."""

    network: type[nn.Module]

    @pytest.fixture
    def proxy(self, name: str) -> Proxy:
        return PROXIES[name]

    @pytest.fixture
    def probe(self) -> Iterator[Probe]:
        state = torch.get_rng_state()
        torch.manual_seed(0)
        network = self.network()
        network.tap.eval()  # type: ignore[union-attr]  # a mode of its own, to be kept
        tokens = torch.randint(VOCABULARY, (4, 5))
        labels = tokens.roll(-1, dims=1)
        labels[0, 2:] = -100
        network(tokens).sum().backward()
        yield Probe(network=network, signature=TOKENS, batch=Batch(inputs=tokens, labels=labels))
        torch.set_rng_state(state)


@pytest.mark.parametrize("name", [*RECURRENT, "synaptic_saliency_published"])
class TestRecurrentProxies(OnTokens):
    network = Recurrent


@pytest.mark.parametrize("name", [*TRANSFORMER, "synaptic_saliency_published"])
class TestTransformerProxies(OnTokens):
    network = Transformer


@pytest.mark.parametrize("network", [Recurrent, Transformer])
def test_scores_of_any_network_are_finite_on_tokens(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(VOCABULARY, (8, 5))
    probe = Probe(
        network=network(), signature=TOKENS, batch=Batch(inputs=tokens, labels=tokens.roll(-1, 1))
    )
    found = {name: measure(PROXIES[name], probe) for name in ALL}
    missing = {name: note for name, (value, note) in found.items() if value is None}
    expected = {"zen": ZEN, "lga": "it needs one label an example"}
    if network is Recurrent:
        expected["naswot"] = "it needs rectifying activations (ReLU and its kin)"
    assert missing == expected


def probe_of(network: nn.Module, inputs: torch.Tensor, labels: list[int] | None = None) -> Probe:
    labels = [0] * len(inputs) if labels is None else labels
    batch = Batch(inputs=inputs, labels=torch.tensor(labels))
    signature = Signature(input_shape=tuple(inputs.shape[1:]), outputs=2)
    return Probe(network=network, signature=signature, batch=batch)


def linear(weights: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights), bias=bias is not None)
    layer.weight.data = torch.tensor(weights)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def test_gradient_scores_of_a_linear_layer_have_a_closed_form() -> None:
    weights = [[0.5, -1.0], [0.25, 2.0]]
    inputs, labels = torch.tensor([[1.0, 2.0], [-3.0, 0.5]]), [0, 1]
    probe = probe_of(linear(weights), inputs, labels)
    logits = inputs.numpy() @ np.array(weights).T
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = (chances - np.eye(2)[labels]).T @ inputs.numpy() / 2  # of the mean cross-entropy
    assert PROXIES["grad_norm"](probe) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    expected = np.abs(gradient * np.array(weights)).sum()
    assert PROXIES["snip"](probe) == pytest.approx(expected, rel=1e-5)


def test_synflow_of_linear_layers_is_the_sum_over_paths_times_their_length() -> None:
    first, second = [[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], [[2.0, -1.0, 0.5]]
    network = nn.Sequential(linear(first), nn.ReLU(), linear(second))
    paths = (np.abs(np.array(second)) @ np.abs(np.array(first))).sum()
    probe = probe_of(network, torch.zeros(1, 2))
    assert PROXIES["synflow"](probe) == pytest.approx(math.log(2 * paths))
    single = probe_of(linear(first), torch.zeros(1, 2))
    assert PROXIES["synflow"](single) == pytest.approx(math.log(np.abs(first).sum()))


def test_synflow_of_a_very_deep_network_is_finite() -> None:
    layers = [linear([[1e3] * 4] * 4) for _ in range(80)]
    value = PROXIES["synflow"](probe_of(nn.Sequential(*layers), torch.zeros(1, 4)))
    assert value == pytest.approx(math.log(80 * 16) + 80 * math.log(1e3) + 79 * math.log(4))


def test_naswot_of_known_codes() -> None:
    network = nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), nn.ReLU())
    inputs = torch.tensor([[1.0, 1.0], [1.0, -2.0], [-1.0, -1.0]])  # codes 111, 100, 000
    kernel = np.array([[3.0, 1.0, 0.0], [1.0, 3.0, 2.0], [0.0, 2.0, 3.0]])
    expected = math.log(np.linalg.det(kernel))
    assert PROXIES["naswot"](probe_of(network, inputs)) == pytest.approx(expected)


def slow_naswot(network: nn.Module, inputs: torch.Tensor) -> float:
    """Counts agreements example by example."""
    units: list[torch.Tensor] = []
    activation = inputs
    network.train()
    for layer in network:  # type: ignore[attr-defined]
        if isinstance(layer, nn.ReLU):
            units.append(activation.flatten(1) > 0)
        activation = layer(activation)
    codes = torch.cat(units, dim=1)
    kernel = [[int((a == b).sum()) for b in codes] for a in codes]
    return float(np.linalg.slogdet(np.array(kernel, dtype=float))[1])


def slow_gradients(network: nn.Module, batch: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Gradients by `backward`, layer by layer."""
    network.train().zero_grad()
    functional.cross_entropy(network(batch.inputs), batch.labels).backward()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Linear)]
    return [(m.weight.detach().numpy(), m.weight.grad.numpy()) for m in layers]  # type: ignore


def test_scores_agree_with_a_plain_slow_version() -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4), nn.ReLU()
    )
    inputs = torch.randn(10, 2, 8)
    probe = probe_of(network, inputs, [i % 4 for i in range(10)])
    found = {name: PROXIES[name](probe) for name in FEW}
    assert found["naswot"] == pytest.approx(slow_naswot(network, inputs))
    assert probe.batch is not None
    slow = slow_gradients(network, probe.batch)
    assert found["grad_norm"] == pytest.approx(
        sum(float(np.sqrt((g**2).sum())) for _, g in slow), rel=1e-5
    )
    assert found["snip"] == pytest.approx(sum(float(abs(w * g).sum()) for w, g in slow), rel=1e-5)
    assert found["params"] == sum(p.numel() for p in network.parameters())
    assert found["flops"] == (2 * 3 + 1) * 6 * 6 + (36 + 1) * 4


def test_normalisations_take_no_part_in_synflow() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv1d(1, 3, 1), nn.ReLU(), nn.Conv1d(3, 2, 1))
    normed = nn.Sequential(plain[0], nn.BatchNorm1d(3), plain[1], nn.GroupNorm(1, 3), plain[2])
    inputs = torch.zeros(1, 1, 4)
    assert PROXIES["synflow"](probe_of(normed, inputs)) == pytest.approx(
        PROXIES["synflow"](probe_of(plain, inputs))
    )


def test_degenerate_values_become_none_with_a_note() -> None:
    twins = torch.ones(4, 2)  # equal examples have equal codes: a singular kernel
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))
    assert measure(PROXIES["naswot"], probe_of(network, twins)) == (
        None,
        "degenerate: the value is -inf",
    )
    torch.manual_seed(0)  # many examples, one of them twice: only rounding hides that
    inputs = torch.randn(40, 2)
    assert measure(PROXIES["naswot"], probe_of(network, torch.cat([inputs, inputs])))[0] is None
    dead = probe_of(linear([[0.0, 0.0], [0.0, 0.0]]), torch.ones(2, 2))
    assert measure(PROXIES["synflow"], dead) == (None, "degenerate: the value is -inf")
    broken = probe_of(linear([[math.nan, 0.0], [0.0, 0.0]]), torch.ones(2, 2))
    for name in ("synflow", "grad_norm", "snip"):
        value, note = measure(PROXIES[name], broken)
        assert value is None
        assert "degenerate" in note


def test_a_proxy_that_does_not_apply_says_why() -> None:
    tanh = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))
    with pytest.raises(DoesNotApply, match="ReLU"):
        PROXIES["naswot"](probe_of(tanh, torch.rand(3, 2)))
    with pytest.raises(DoesNotApply, match="linear layers"):
        PROXIES["snip"](probe_of(nn.Flatten(), torch.rand(3, 2)))


def test_a_loss_that_reaches_no_weight_has_gradient_zero() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 2)

    probe = probe_of(Constant(), torch.rand(3, 2))
    assert PROXIES["grad_norm"](probe) == 0.0
    assert measure(PROXIES["synflow"], probe)[0] is None


def test_passes_are_shared() -> None:
    calls = 0

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nonlocal calls
            calls += len(x) > 1
            return self.body(x)

    probe = probe_of(Counting(), torch.rand(3, 2), [0, 1, 1])
    for name in ("snip", "grad_norm", "fisher", "naswot", "jacobian_cosine", "grasp"):
        PROXIES[name](probe)
    assert calls == 1
    for name in ("large_noise_jacobian_cosine", "more_noised_jacobian_covariance"):
        PROXIES[name](probe)
    assert calls == 2  # one for all noises, as nothing mixes examples
    PROXIES["ntk_condition"](probe)
    PROXIES["lga"](probe)
    assert calls == 3  # batch statistics as constants


class Space(Cell):
    """Cells of which one cannot be built."""

    def build(self, architecture: Architecture, *arguments: Any) -> nn.Module:
        if architecture == self.members()[3]:
            raise ValueError("no such layer")
        return super().build(architecture, *arguments)


def small_task(n: int = 80):
    labels = np.arange(n) % 4
    inputs = np.random.default_rng(0).normal(size=(n, 40)) + labels[:, None]
    return create_dataset_task(inputs, labels, name="small")


def test_a_batch_of_architectures_is_scored_in_order() -> None:
    space, task = Cell(), small_task()
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(3)]
    state = torch.get_rng_state()
    found = score(space, task, architectures, FEW, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert [(s.architecture, s.proxy) for s in found] == [
        (a, p) for a in architectures for p in FEW
    ]
    assert all(s.wall_s >= 0 for s in found)
    torch.rand(3)
    again = score(space, task, architectures, FEW, seed=5)
    assert [s.value for s in again] == [s.value for s in found]
    alone = score(space, task, architectures[1:2], ["snip"], seed=5)
    assert alone[0].value == next(
        s.value for s in found if (s.architecture, s.proxy) == (architectures[1], "snip")
    )
    other = score(space, task, architectures, ["snip"], seed=6)
    assert [s.value for s in other] != [s.value for s in found if s.proxy == "snip"]


def test_nothing_is_dropped() -> None:
    space = Space()
    members = space.members()
    empty = space.parse({slot.name: "none" for slot in space.slots})
    found = score(space, small_task(), [members[3], empty], ALL, seed=0)
    assert len(found) == 2 * len(ALL)
    assert all(s.value is None and "no such layer" in s.note for s in found[: len(ALL)])
    by_name = {s.proxy: s for s in found[len(ALL) :]}
    assert by_name["synflow"].value is None  # no path from input to output
    assert by_name["params"].value is not None


def test_unknown_and_impossible_proxies_are_tool_errors() -> None:
    space, task = Cell(), small_task()
    with pytest.raises(ToolError, match="did you mean 'naswot'"):
        score(space, task, [], ["naswott"], seed=0)
    assert proxies_for(space, task) == FEW
    assert computable(space, task) == tuple(ALL)


def test_a_table_answers_for_parameters_and_flops(shared_data) -> None:
    table = read_nas_bench_201(shared_data / "nas_bench_201.parquet", "c10")
    task, space = TabularTask(table=table, ref=""), Cell()
    assert proxies_for(space, task) == ("params", "flops", "synflow")
    architecture = space.members()[100]
    found = score(space, task, [architecture], ["params", "flops", "synflow"], seed=0)
    row = task.lookup(architecture, task.fidelity, 0)
    assert [s.value for s in found[:2]] == [row.params, row.flops]
    assert found[2].value is not None
    with pytest.raises(ToolError, match="cannot be computed for this space and task"):
        score(space, task, [architecture], ["naswot"], seed=0)


def test_a_row_that_a_table_lacks_is_a_score_without_value(shared_data) -> None:
    table = read_nas_bench_201(shared_data / "nas_bench_201.parquet", "c10")
    task, space = TabularTask(table=replace(table, index={}), ref=""), Cell()
    found = score(space, task, [space.members()[0]], ["flops"], seed=0)
    assert found[0].value is None
    assert "no row" in found[0].note


def test_a_formula_of_ones_own_is_a_proxy() -> None:
    depth = Formula(
        name="depth",
        description="number of modules",
        needs_data=False,
        formula=lambda probe: float(len(list(probe.network.modules()))),
    )
    assert measure(depth, probe_of(nn.Linear(2, 2), torch.ones(1, 2))) == (1.0, "")


def test_each_kind_of_network_is_shown_a_few_scores_that_apply() -> None:
    task = load_task("topics:tokens=20000,context=16")
    for ref in ("recurrent:hidden=8,embedding=8", "flexibert:causal=yes,scale=8"):
        space = load_space(ref)
        shown = proxies_for(space, task)
        assert len(shown) <= 8
        assert set(shown) < set(computable(space, task))
        found = score(space, task, [space.sample(np.random.default_rng(1))], shown, 0, batch_size=4)
        missing = {s.proxy: s.note for s in found if s.value is None}
        allowed = {"hidden_covariance_3": "it needs a recurrent network of at least 3 layers"}
        assert missing.items() <= allowed.items()


def test_random_tokens_stand_in_where_a_table_has_no_text(shared_data) -> None:
    recorded = read_nas_bench_201(shared_data / "nas_bench_201.parquet", "c10")
    task = TabularTask(table=replace(recorded, signature=TOKENS), ref="")
    space = load_space("recurrent:hidden=8,embedding=8")
    known = computable(space, task)
    assert "hidden_covariance_1" in known
    assert "jacobian_cosine" in known
    assert "snip" not in known  # it needs labels
    architecture = space.sample(np.random.default_rng(0))
    found = score(space, task, [architecture], ["hidden_covariance_1"], 0, batch_size=16)
    assert found[0].value is not None
    again = score(space, task, [architecture], ["hidden_covariance_1"], 0, batch_size=16)
    assert again[0].value == found[0].value
