"""What training-free scores cost on shared passes, beside one at a time.

    python -m vitruvius.evals.bench_proxies [--architectures 3] [--only KIND]

`images`: full-size networks of NAS-Bench-201 (16 channels, 5 cells a stage) on 64 images of 32 by
32; `recurrent`: language models of 3 layers of random cells on 50 sequences of 70 tokens. For each
network both ways are timed in turn, one thread, in CPU seconds, so that other work on the machine
takes part in neither; prints both, their ratio, and scores that lie further apart than `CLOSE`.
`hidden`: hidden covariance of cells of published size (3 layers of 600) on 50 sequences of 70
tokens, in CPU seconds, beside a training of the same cell for one epoch of the built-in text;
`usual`: the same for cells of the space's usual size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from vitruvius.evals.plain_proxies import FIRST_ORDER, SECOND_ORDER
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import TrainableTask
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.passes.probe import Batch
from vitruvius.tools.passes.scoring import LARGEST, measure, plan
from vitruvius.tools.proxies import PROXIES
from vitruvius.tools.training.metrics import TrainingStopped
from vitruvius.tools.training.tensors import Data
from vitruvius.tools.training.trainer import train

CLOSE = 1e-3  # relative difference
IMAGES = Signature(input_shape=(3, 32, 32), outputs=10)
TEXT = Signature(input_shape=(70,), outputs=1000, vocabulary=1000, per_token=True, causal=True)
REFS = {
    "images": "nb201:channels=16,cells=5,reduction=residual",
    "recurrent": "recurrent:layers=3,hidden=200,embedding=200",
    "hidden": "recurrent:layers=3,hidden=600,embedding=400",
    "usual": "recurrent",
}
LAYERS = tuple(f"hidden_covariance_{layer}" for layer in (1, 2, 3))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns CPU seconds of this process, and the result."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def example(kind: str, seed: int) -> tuple[nn.Module, Signature, Batch]:
    """Returns a network of a random architecture, its signature and a random batch."""
    space, signature = load_space(REFS[kind]), IMAGES if kind == "images" else TEXT
    assert isinstance(space, Builder)
    with unmoved_generator(seed):
        network = space.build(space.sample(np.random.default_rng(seed)), signature)
        if kind == "images":
            inputs, labels = torch.randn(64, *signature.input_shape), torch.arange(64) % 10
        else:
            inputs = torch.randint(signature.outputs, (50, *signature.input_shape))
            labels = inputs.roll(-1, dims=1)
    return network, signature, Batch(inputs=inputs, labels=labels)


def together(
    network: nn.Module, signature: Signature, batch: Batch, names: Sequence[str]
) -> dict[str, float | None]:
    """Returns scores on shared passes."""
    probe = plan(network, signature, batch, names)
    return {name: measure(PROXIES[name], probe)[0] for name in names}


def compare(kind: str, seed: int) -> dict[str, Any]:
    """Returns seconds and ratios of both ways on one network, and scores that lie apart."""
    network, signature, batch = example(kind, seed)
    first, second = FIRST_ORDER[kind], SECOND_ORDER[kind]
    costs, alone = {}, {}
    for name, score in {**first, **second}.items():
        costs[name], alone[name] = seconds(partial(score, network, *_of(batch)))
    row: dict[str, Any] = {}
    for suite, names in (("first order", [*first]), ("all", [*first, *second])):
        spent, found = seconds(partial(together, network, signature, batch, names))
        apart = {name: _apart(alone[name], found[name]) for name in names}
        plain = sum(costs[name] for name in names)
        row[suite] = {"one at a time": plain, "together": spent, "ratio": plain / spent}
        row[suite] |= {name: value for name, value in apart.items() if value > CLOSE}
    return row


def _of(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    assert batch.labels is not None
    return batch.inputs, batch.labels


def _apart(first: float, second: float | None) -> float:
    """Returns the relative difference; 0 where both say that the network is broken."""
    if second is None:
        return 0.0 if not abs(first) <= LARGEST else 1.0
    return abs(first - second) / max(abs(first), 1e-12)


def hidden(kind: str, seed: int) -> dict[str, float]:
    """Returns the CPU seconds of hidden covariance, of the first layer and of all; of an epoch."""
    network, signature, batch = example(kind, seed)
    row = {
        names[-1]: seconds(partial(together, network, signature, batch, names))[0]
        for names in (LAYERS[:1], LAYERS)
    }
    spent = seconds(partial(an_epoch, kind, seed))[0]
    return {**row, "an epoch": spent, "epoch by covariance": spent / max(row.values())}


def an_epoch(kind: str, seed: int) -> None:
    """Trains the cell of `example` for one epoch; a training that diverges ends with it."""
    space, task = load_space(REFS[kind]), load_task("topics")
    assert isinstance(space, Builder)
    assert isinstance(task, TrainableTask)
    network = space.build(space.sample(np.random.default_rng(seed)), task.signature)
    data = Data.of(task.load(), torch.device("cpu"))
    with unmoved_generator(seed), suppress(TrainingStopped):
        train(network, data, task.recipe, epochs=1, seed=seed, metric=task.metric)


def main() -> None:
    """Prints one JSON line for each network, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=3)
    parser.add_argument("--only", choices=(*REFS,))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind in (options.only,) if options.only else REFS:
        measured = compare if kind in FIRST_ORDER else hidden
        if kind != "hidden":  # minutes long
            measured(kind, 0)  # first passes choose kernels; nobody is charged for that
        rows = [measured(kind, seed) for seed in range(1, options.architectures + 1)]
        for row in rows:
            print(json.dumps({kind: row}, default=float))
        print(json.dumps({f"{kind}, median": _median(rows)}))


def _median(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {
        name: round(
            statistics.median(
                row[name]["ratio"] if isinstance(row[name], dict) else row[name] for row in rows
            ),
            2,
        )
        for name in rows[0]
    }


if __name__ == "__main__":
    main()
