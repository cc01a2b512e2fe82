"""What training-free scores cost on shared passes, beside one at a time.

    python -m vitruvius.evals.bench_proxies [--architectures 3] [--only images|recurrent|hidden]

For each network both ways are timed in turn, one thread, in CPU seconds, so that other work on the
machine changes neither; prints the medians of the ratios and how far the values lie apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from vitruvius.evals.plain_proxies import FIRST_ORDER, SECOND_ORDER, Plain
from vitruvius.spaces.builders.taps import (
    EmbeddingTap,
    HiddenTap,
    RepresentationTap,
    announce,
)
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Builder, Signature
from vitruvius.tools.flops import unmoved_generator
from vitruvius.tools.probe import Batch
from vitruvius.tools.proxies import PROXIES
from vitruvius.tools.scoring import measure, plan

IMAGES = Signature(input_shape=(3, 32, 32), outputs=10)
TEXT = Signature(input_shape=(70,), outputs=1000, vocabulary=1000, per_token=True, causal=True)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns CPU seconds of this process, and the result."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def compare(network: nn.Module, signature: Signature, batch: Batch, kind: str) -> dict[str, Any]:
    """Returns seconds and ratios of both ways on one network, and the largest difference."""
    assert batch.labels is not None
    labels = batch.labels
    rows: dict[str, Any] = {}
    alone: dict[str, float] = {}
    costs: dict[str, float] = {}
    for name, score in {**FIRST_ORDER[kind], **SECOND_ORDER[kind]}.items():
        costs[name], alone[name] = seconds(lambda score=score: score(network, batch.inputs, labels))
    suites: dict[str, Sequence[str]] = {
        "first order": list(FIRST_ORDER[kind]),
        "all": [*FIRST_ORDER[kind], *SECOND_ORDER[kind]],
    }
    for suite, names in suites.items():
        spent, found = seconds(
            lambda names=names: _shared(network, signature, batch, names)
        )
        rows[suite] = {
            "one at a time": round(sum(costs[name] for name in names), 2),
            "shared": round(spent, 2),
            "ratio": round(sum(costs[name] for name in names) / spent, 2),
            "apart": {n: _apart(alone[n], found[n]) for n in names if _apart(alone[n], found[n]) > 1e-3},
        }
    rows["costs"] = {name: round(cost, 2) for name, cost in costs.items()}
    return rows


def _shared(
    network: nn.Module, signature: Signature, batch: Batch, names: Sequence[str]
) -> dict[str, float | None]:
    probe = plan(network, signature, batch, names)
    return {name: measure(PROXIES[name], probe)[0] for name in names}


def _apart(first: float, second: float | None) -> float:
    return 1.0 if second is None else abs(first - second) / max(abs(first), 1e-12)


def images(seed: int) -> tuple[nn.Module, Batch]:
    """Returns a full-size network of NAS-Bench-201 and 64 random images."""
    space = load_space("nb201:channels=16,cells=5,reduction=residual")
    assert isinstance(space, Builder)
    with unmoved_generator(seed):
        network = space.build(space.sample(np.random.default_rng(seed)), IMAGES)
        inputs = torch.randn(64, *IMAGES.input_shape)
    return network, Batch(inputs=inputs, labels=torch.arange(64) % 10)
