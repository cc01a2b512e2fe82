import time

import numpy as np
import pytest
import torch
from torch import nn

from vitruvius.errors import ConfigError
from vitruvius.tasks.task import Metric, Recipe, Split, Splits
from vitruvius.tools.training.evaluation import FailureKind
from vitruvius.tools.training.metrics import TrainingStopped, score
from vitruvius.tools.training.tensors import Data, Examples, pick_device
from vitruvius.tools.training.trainer import Course
from vitruvius.tools.training.trainer import train as train_network

CPU = torch.device("cpu")
ACCURACY = Metric(name="accuracy", unit="%")
RECIPE = Recipe(epochs=4, batch_size=16)


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))

    def split(n: int) -> Split:
        labels = rng.integers(0, 3, n)
        noise = rng.normal(size=(n, 8))
        return Split(inputs=(centres[labels] + noise).astype(np.float32), labels=labels)

    return Data.of(Splits(train=split(200), valid=split(80), test=split(80)), CPU)


def create_network() -> nn.Module:
    torch.manual_seed(5)
    layers = [nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3)]
    return nn.Sequential(*layers)


def train(network: nn.Module, data: Data, *, seed: int = 0, **options: object) -> Course:
    settings = {"epochs": 4, "metric": ACCURACY, "recipe": RECIPE} | options
    return train_network(network, data, seed=seed, **settings)


def test_training_learns_and_its_value_is_that_of_the_network_as_it_is_left(data: Data) -> None:
    network = create_network()
    before = score(network, data.valid, ACCURACY)
    course = train(network, data)
    assert course.value == course.curve[-1] == score(network, data.valid, ACCURACY)
    assert course.test == score(network, data.test, ACCURACY)
    assert course.value > before + 20
    assert len(course.curve) == 4


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(data: Data) -> None:
    first, again, other = (
        (train(network, data, seed=seed), network.state_dict())
        for seed in (1, 1, 2)
        if (network := create_network())
    )
    assert first[0].curve == again[0].curve
    assert first[0].test == again[0].test
    for name, weights in first[1].items():
        assert torch.equal(weights, again[1][name])
    assert not torch.equal(first[1]["0.weight"], other[1]["0.weight"])


def test_numbers_do_not_depend_on_what_drew_from_torch_before(data: Data) -> None:
    first, second = create_network(), create_network()
    expected = train(first, data, seed=3)
    torch.rand(7)
    assert train(second, data, seed=3).curve == expected.curve


def test_progress_tells_of_every_batch_and_the_end_of_every_epoch(data: Data) -> None:
    seen: list[tuple[int, float | None]] = []
    course = train(
        create_network(), data, progress=lambda epoch, value: seen.append((epoch, value))
    )
    ends = [(epoch, value) for epoch, value in seen if value is not None]
    assert ends == list(enumerate(course.curve, start=1))
    assert len(seen) - len(ends) == 4 * (200 // 16)


def test_an_overflowing_loss_is_a_divergence(data: Data) -> None:
    network = create_network()
    with torch.no_grad():
        network[0].weight.fill_(float("nan"))
    with pytest.raises(TrainingStopped, match="loss of epoch 1 is nan") as stop:
        train(network, data)
    assert stop.value.kind is FailureKind.DIVERGED


def test_outputs_that_are_not_finite_have_no_score(data: Data) -> None:
    network = nn.Linear(8, 3)
    with torch.no_grad():
        network.bias.fill_(float("inf"))
    with pytest.raises(TrainingStopped, match="not finite"):
        score(network, data.valid, ACCURACY)


def test_time_that_is_up_ends_the_training(data: Data) -> None:
    with pytest.raises(TrainingStopped, match="time was up in epoch 1") as stop:
        train(create_network(), data, deadline=time.monotonic())
    assert stop.value.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(("epochs", "batch_size"), [(1, 200), (1, 1000), (2, 128), (1, 199)])
def test_few_steps_are_enough(data: Data, epochs: int, batch_size: int) -> None:
    course = train(create_network(), data, epochs=epochs, recipe=Recipe(batch_size=batch_size))
    assert len(course.curve) == epochs


def test_scores_equal_a_plain_computation(data: Data) -> None:
    network = create_network().eval()
    logits = network(data.test.inputs).detach().numpy()
    labels = data.test.labels.numpy()
    accuracy = 100 * float((logits.argmax(1) == labels).mean())
    likelihood = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    nats = -np.log(likelihood[np.arange(len(labels)), labels]).mean()
    assert score(network, data.test, ACCURACY) == pytest.approx(accuracy)
    error = Metric(name="error", direction="min")
    assert score(network, data.test, error) == pytest.approx(100 - accuracy)
    entropy = Metric(name="cross_entropy", direction="min")
    assert score(network, data.test, entropy) == pytest.approx(nats, rel=1e-5)


def test_an_unknown_metric_is_a_config_error(data: Data) -> None:
    with pytest.raises(ConfigError, match="got 'f1'"):
        score(create_network(), data.test, Metric(name="f1"))


def test_a_fraction_is_the_same_examples_every_time_whatever_the_seed(data: Data) -> None:
    torch.manual_seed(1)
    half = data.train.fraction(0.5)
    torch.manual_seed(2)
    again = data.train.fraction(0.5)
    assert len(half.labels) == 100
    assert torch.equal(half.inputs, again.inputs)
    assert torch.equal(half.labels, again.labels)
    assert data.train.fraction(1.0) is data.train
    rows = {tuple(row) for row in data.train.inputs.tolist()}
    assert {tuple(row) for row in half.inputs.tolist()} <= rows


def test_a_smaller_fraction_is_part_of_a_larger_one(data: Data) -> None:
    small, large = data.train.fraction(0.1), data.train.fraction(0.6)
    assert torch.equal(small.inputs, large.inputs[: len(small.labels)])


def test_examples_keep_their_types() -> None:
    split = Split(inputs=np.ones((2, 3), np.float32), labels=np.array([0, 1], np.int64))
    examples = Examples.of(split, CPU)
    assert examples.inputs.dtype is torch.float32
    assert examples.labels.dtype is torch.int64


def test_a_device_that_is_not_there_is_a_config_error() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto") == pick_device(None)
    with pytest.raises(ConfigError, match="got 'warp'"):
        pick_device("warp")


def test_a_training_that_falls_short_at_a_rung_ends_there_and_others_do_not(data: Data) -> None:
    whole = train(create_network(), data)
    short = train(create_network(), data, demands={2: whole.curve[1] + 0.1})
    assert (short.fell_short, short.curve) == (True, whole.curve[:2])
    for demands in ({2: whole.curve[1]}, {4: 101.0}, {}):
        assert train(create_network(), data, demands=demands).curve == whole.curve
    assert not whole.fell_short
