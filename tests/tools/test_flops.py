import pytest
import torch
from torch import nn

from vitruvius.spaces.cells.cell import Cell, from_string
from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.flops import count_flops, count_params, unmoved_generator


def signature(input_shape: tuple[int, ...]) -> Signature:
    return Signature(input_shape=input_shape, outputs=1)


def test_linear_layer_costs_its_weights_and_biases() -> None:
    assert count_flops(nn.Linear(5, 3), signature((5,))) == 18
    assert count_flops(nn.Linear(5, 3, bias=False), signature((5,))) == 15
    assert count_params(nn.Linear(5, 3)) == 18


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 6, 5), 3 * 8 * 9 * 30),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 6, 5), (3 * 9 + 1) * 8 * 30),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=False), (4, 6, 6), 2 * 8 * 9 * 9),
        (nn.Conv1d(2, 4, 5, dilation=2, bias=False), (2, 20), 2 * 4 * 5 * 12),
    ],
)
def test_convolutions_follow_the_closed_form(layer, shape, expected) -> None:
    assert count_flops(layer, signature(shape)) == expected


def test_other_layers_cost_nothing() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.AvgPool1d(2), nn.Flatten())
    assert count_flops(network, signature((3, 8))) == 0


def test_a_layer_used_twice_costs_twice_and_is_stored_once() -> None:
    shared = nn.Linear(4, 4, bias=False)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    assert count_flops(network, signature((4,))) == 32
    assert count_params(network) == 16


class Attention(nn.Module):
    """Tokens to logits, by products in functional form."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        return self.decoder((x @ x.transpose(1, 2)).softmax(dim=-1) @ x)


def test_tokens_can_be_counted_and_products_of_batches_cost_their_multiply_adds() -> None:
    tokens = Signature(input_shape=(6,), outputs=9, vocabulary=9, per_token=True)
    assert count_flops(Attention(), tokens) == 2 * 6 * 6 * 4 + 6 * 4 * 9


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_on_every_token_is_counted_once(bias: bool) -> None:
    assert count_flops(nn.Linear(5, 3, bias=bias), signature((7, 5))) == 7 * 3 * (5 + bias)


def test_counting_leaves_no_trace() -> None:
    network = nn.Sequential(nn.Conv1d(1, 2, 1), nn.BatchNorm1d(2), nn.Dropout(), nn.Flatten())
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    count_flops(
        network, signature((1, 1))
    )  # one position: batch norm in training mode would refuse it
    assert [module.training for module in network] == [True, False, True, True]
    assert all(torch.equal(value, before[n]) for n, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not network[0]._forward_hooks


def test_a_failed_count_leaves_no_trace_either() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 2))
    with pytest.raises(RuntimeError):
        count_flops(network, signature((2,)))
    assert network[0].training
    assert not network[0]._forward_hooks


def test_the_generator_is_put_back_and_the_seed_decides() -> None:
    state = torch.get_rng_state()
    with unmoved_generator(3):
        first = torch.rand(2)
    with unmoved_generator(3):
        assert torch.equal(torch.rand(2), first)
    with unmoved_generator(4):
        assert not torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("metric", "shape", "outputs"),
    [("c10", (3, 32, 32), 10), ("c100", (3, 32, 32), 100), ("in16", (3, 16, 16), 120)],
)
def test_full_size_cells_cost_what_the_benchmark_recorded(
    shared_data, metric: str, shape: tuple[int, ...], outputs: int
) -> None:
    from vitruvius.tasks.tables.nas_bench_201 import read_nas_bench_201

    table = read_nas_bench_201(shared_data / "nas_bench_201.parquet", metric)
    space = Cell(channels=16, cells=5, reduction="residual")
    # built as written: in canonical form dead edges cost nothing
    cells = [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_3x3~1|none~2|",
        "|skip_connect~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|",
    ]
    for cell in cells:
        architecture = from_string(cell)
        network = space.build(architecture, Signature(input_shape=shape, outputs=outputs))
        row = table.index[architecture]
        assert count_params(network) == table.params[row]
        assert count_flops(network, signature(shape)) == table.flops[row]
