"""Training, scoring, counting and exporting on text, with a small recurrent space."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature
from vitruvius.tasks.task import IGNORED, Fidelity, Metric, Recipe
from vitruvius.tasks.texts.text import TextTask, create_text_task
from vitruvius.tools.export.files import export
from vitruvius.tools.training.evaluation import Failed, FailureKind, Request, Trained
from vitruvius.tools.training.evaluator import check_can_evaluate
from vitruvius.tools.training.metrics import TrainingStopped, loss_of, score
from vitruvius.tools.training.tensors import Data, Examples
from vitruvius.tools.training.trainer import Trainer, train

ROOT = Path(__file__).parents[2]
SPACE = f"{ROOT / 'docs/examples/my_language_model.py'}:space"
CPU = torch.device("cpu")
NATS = Metric(name="cross_entropy", direction="min", unit="nats")
PERPLEXITY = Metric(name="perplexity", direction="min")
RECIPE = Recipe(epochs=2, batch_size=8, learning_rate=0.01, gradient_norm=1.0)
SPEC = {"cell": "gru", "layers": "1", "width": "16", "dropout": "0"}


def create_task(**options) -> TextTask:
    text = " ".join(f"{'abcd'[i % 4]} {'wxyz'[i % 4]}" for i in range(900))
    return create_text_task(text, context=8, recipe=RECIPE, **options)


@pytest.fixture(scope="module")
def task() -> TextTask:
    return create_task()


def build(task: TextTask, space_ref: str = SPACE) -> nn.Module:
    space = load_space(space_ref)
    assert isinstance(space, Builder)
    torch.manual_seed(0)
    return space.build(space.parse(SPEC), task.signature)


class Bag(nn.Module):
    """The same logits for every token of every window: a Markov chain of order zero."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits.expand(*tokens.shape, -1)


def test_a_network_learns_a_text_that_can_be_foretold(task: TextTask) -> None:
    data, network = Data.of(task.load(), CPU), build(task)
    assert data.train.inputs.dtype == torch.int64
    before = score(network, data.valid, NATS)
    course = train(network, data, RECIPE, epochs=2, seed=0, metric=NATS)
    assert before > 1.8
    assert course.value < 0.7
    assert course.curve[1] < course.curve[0]


def test_scores_are_means_over_judged_tokens_and_perplexity_is_their_exponential() -> None:
    task = create_task(masked=True)
    logits = torch.randn(task.signature.outputs)
    valid = task.load().valid
    asked = valid.labels[valid.labels != IGNORED]
    by_hand = -functional.log_softmax(logits.double(), 0).numpy()[asked].mean()
    examples = Data.of(task.load(), CPU).valid
    assert score(Bag(logits), examples, NATS) == pytest.approx(by_hand, rel=1e-5)
    assert score(Bag(logits), examples, PERPLEXITY) == pytest.approx(math.exp(by_hand), rel=1e-5)
    accuracy = 100 * (asked == int(logits.argmax())).mean()
    assert score(Bag(logits), examples, Metric(name="accuracy")) == pytest.approx(accuracy)


def test_tokens_that_are_not_judged_do_not_count_in_the_loss() -> None:
    logits = torch.randn(2, 3, 5)
    labels = torch.tensor([[1, IGNORED, 4], [IGNORED, IGNORED, 0]])
    by_hand = -logits.log_softmax(2)[(0, 0, 1), (0, 2, 2), (1, 4, 0)].mean()
    assert loss_of(logits, labels).item() == pytest.approx(by_hand.item())


def test_windows_of_any_batch_give_the_same_score(
    task: TextTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, valid = build(task), Data.of(task.load(), CPU).valid
    whole = score(network, valid, NATS)
    monkeypatch.setattr("vitruvius.tools.training.metrics.EVALUATION_TOKENS", 5)
    assert score(network, valid, NATS) == pytest.approx(whole, rel=1e-5)


def test_a_fraction_of_a_text_is_its_beginning(task: TextTask) -> None:
    train_part = Data.of(task.load(), CPU).train
    part = train_part.fraction(0.25)
    count = round(0.25 * len(train_part.labels))
    assert torch.equal(part.inputs, train_part.inputs[:count])
    assert torch.equal(part.labels, train_part.labels[:count])
    numbers = Examples(inputs=torch.randn(40, 2), labels=torch.arange(40))
    assert not torch.equal(numbers.fraction(0.25).labels, torch.arange(10))


def test_gradients_are_cut_to_the_recipes_norm(task: TextTask) -> None:
    moved = []
    for limit in (1e-12, None):
        network = Bag(torch.zeros(task.signature.outputs))
        recipe = replace(RECIPE, gradient_norm=limit, weight_decay=0.0)
        train(network, Data.of(task.load(), CPU), recipe, epochs=1, seed=0, metric=NATS)
        moved.append(network.logits.abs().max().item())
    assert moved[0] < 0.01 * moved[1]  # below Adam's epsilon nothing moves


@pytest.mark.parametrize("metric", [NATS, PERPLEXITY], ids=["loss", "perplexity"])
def test_a_network_that_diverges_is_a_failure_of_that_kind(task: TextTask, metric: Metric) -> None:
    examples = Data.of(task.load(), CPU).valid
    logits = torch.zeros(task.signature.outputs)
    logits[0] = 1e30 if metric is PERPLEXITY else math.inf
    with pytest.raises(TrainingStopped) as stop:
        score(Bag(logits), examples, metric)
    assert stop.value.kind is FailureKind.DIVERGED


def test_a_trial_on_text_counts_trains_saves_and_can_be_exported(
    task: TextTask, tmp_path: Path
) -> None:
    space = load_space(SPACE)
    architecture = space.parse(SPEC)
    trainer = Trainer(space, task, tmp_path, CPU)
    request = Request(
        result_id=1, architecture=architecture, seed=3, fidelity=Fidelity(epochs=1, data=0.5)
    )
    outcome = trainer.carry_out(request)
    assert isinstance(outcome, Trained), outcome
    vocabulary = task.signature.outputs
    assert outcome.flops == 8 * 17 * vocabulary  # torch's own recurrent layers are not seen
    assert trainer.carry_out(replace(request, result_id=2)).value == outcome.value
    late = trainer.carry_out(replace(request, result_id=3), deadline_s=1e-9)
    assert isinstance(late, Failed)
    assert late.kind is FailureKind.TIMEOUT
    exported = export(space, architecture, outcome.weights, task, tmp_path / "out")
    code = (
        "import network, torch; tokens = torch.tensor([[1, 2, 3]]); n = network.load(); "
        "print(tuple(n(tokens).shape), network.TOKENS[0])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=True, cwd=exported.module.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout.split("\n")[0] == f"(1, 3, {vocabulary}) <unknown>"
    assert "[B, 8] int64 tokens below 9 to [B, 8, 9]" in exported.module.read_text()


@pytest.mark.parametrize("ref", ["macro", "nb201", "transnas", SPACE])
def test_a_space_that_has_no_such_networks_is_refused_before_a_run(ref: str) -> None:
    masked = create_task(masked=True)
    with pytest.raises(ConfigError, match=r"^task text: space .* builds .*; use "):
        check_can_evaluate(masked, load_space(ref))


@pytest.mark.parametrize(
    ("ref", "masked"), [("recurrent", False), ("flexibert", True), ("recurrent", True)]
)
def test_built_in_spaces_serve_text(ref: str, masked: bool) -> None:
    space, task = load_space(ref), create_task(masked=masked)
    check_can_evaluate(task, space)
    assert isinstance(space, Builder)
    network = space.build(space.sample(np.random.default_rng(0)), task.signature)
    tokens = torch.as_tensor(task.load().valid.inputs[:2])
    assert network(tokens).shape == (2, 8, task.signature.outputs)


def test_a_causal_network_does_not_see_what_comes(task: TextTask) -> None:
    space = load_space("recurrent")
    assert isinstance(space, Builder)
    network = space.build(space.sample(np.random.default_rng(0)), task.signature).eval()
    tokens = torch.as_tensor(task.load().valid.inputs[:2])
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % task.signature.outputs
    assert task.signature == Signature(
        input_shape=(8,), outputs=9, vocabulary=9, per_token=True, causal=True
    )
    with torch.no_grad():
        torch.testing.assert_close(network(tokens)[:, :-1], network(changed)[:, :-1])
