"""The proxy tool: scores of a batch of architectures in one call."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from vitruvius.errors import ToolError
from vitruvius.memory.records import DEGENERATE, Score
from vitruvius.spaces.space import Architecture, Builder, SearchSpace, Signature
from vitruvius.tasks.tables.table import TabularTask
from vitruvius.tasks.task import Task, TrainableTask
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.passes.probe import Batch, DoesNotApply, Probe
from vitruvius.tools.proxies import PROXIES, Proxy, computable

BATCH_SIZE = 64  # kernels over examples grow with its square
LARGEST = 1e30  # beyond, a network has exploded and its score compares nothing


def score(
    space: SearchSpace,
    task: Task,
    architectures: Sequence[Architecture],
    proxies: Sequence[str],
    seed: int,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Returns every proxy of every architecture, architecture by architecture, in order.

    Networks are built on the CPU from `seed`, which also draws the batch of training examples;
    the same call gives the same values. A table answers for parameters and FLOPs itself; for a
    table of networks of tokens, random tokens stand in for examples. A network that cannot be built
    or run, or has not what a score looks at, gives a score whose value is None and whose note
    says why. So does a value that is NaN, infinite or beyond `LARGEST`, but that is degenerate:
    it ranks below all others (`Score.rank_value`). `wall_s` is in seconds; the first proxy that
    needs a pass pays for it.

    Args:
        space: must be a `Builder` for anything but a table's own numbers.
        task: gives shapes and examples.
        architectures: canonical members of the space.
        proxies: names among `computable(space, task)`.
        seed: of initial weights and batch, at least 0.
        batch_size: number of examples, as far as the task has them.
        progress: called after every score.

    Raises:
        ToolError: if a proxy is unknown or cannot be computed here.
    """
    _check_names(proxies, computable(space, task))
    needs_batch = any(PROXIES[name].needs_data for name in proxies)
    batch = _draw_batch(task, seed, batch_size) if needs_batch else None
    scores: list[Score] = []
    for architecture in architectures:
        recorded = _recorded(task, architecture)
        to_measure = [name for name in proxies if name not in recorded]
        probe = _probe(space, task, architecture, batch, seed, to_measure) if to_measure else ""
        for name in proxies:
            known = recorded.get(name)
            scores.append(known or _measure(PROXIES[name], architecture, probe))
            progress()
    return scores


def measure(proxy: Proxy, probe: Probe) -> tuple[float | None, str]:
    """Returns the value of a proxy and a note; the value is None where it is degenerate."""
    try:
        value = float(proxy(probe))
    except DoesNotApply as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - the tool's boundary: a user's network may raise
        return None, f"{type(error).__name__}: {error}"
    if abs(value) <= LARGEST:
        return value, ""
    return None, f"{DEGENERATE}: the value is {value}"


def _measure(proxy: Proxy, architecture: Architecture, probe: Probe | str) -> Score:
    started = time.perf_counter()
    value, note = (None, probe) if isinstance(probe, str) else measure(proxy, probe)
    return Score(
        proxy=proxy.name,
        architecture=architecture,
        value=value,
        wall_s=time.perf_counter() - started,
        note=note,
    )


def _check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    for name in wanted:
        if name in known:
            continue
        if name in PROXIES:
            raise ToolError(
                f"proxy {name!r} cannot be computed for this space and task; "
                f"use {', '.join(known) or 'none'}"
            )
        near = difflib.get_close_matches(name, known, n=1)
        raise ToolError(
            f"there is no proxy {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
            + f" Proxies: {', '.join(known) or 'none'}"
        )


def _recorded(task: Task, architecture: Architecture) -> dict[str, Score]:
    """Returns the scores that a table records of an architecture; {} for other tasks."""
    if not isinstance(task, TabularTask):
        return {}
    costs = task.costs(architecture)
    note = f"the table has no row for {architecture}" if costs is None else ""
    return {
        name: Score(
            proxy=name,
            architecture=architecture,
            value=(costs or {}).get(name),
            wall_s=0.0,
            note=note,
        )
        for name in task.cost_names
        if name in PROXIES
    }


def _draw_batch(task: Task, seed: int, size: int) -> Batch:
    rng = np.random.default_rng(seed)
    if isinstance(task, TabularTask):
        assert task.signature is not None, "`computable` says so"
        return _random_tokens(task.signature, rng, size)
    assert isinstance(task, TrainableTask)
    train = task.load().train
    size = min(size, len(train.labels))
    chosen = rng.choice(len(train.labels), size=size, replace=False)
    return Batch(
        inputs=torch.from_numpy(train.inputs[chosen]), labels=torch.from_numpy(train.labels[chosen])
    )


def _random_tokens(signature: Signature, rng: np.random.Generator, size: int) -> Batch:
    """Returns tokens whose frequencies fall as those of words do (Zipf), without labels."""
    assert signature.vocabulary is not None, "`computable` says so"
    chances = 1 / np.arange(1, signature.vocabulary + 1)
    shape = (size, *signature.input_shape)
    tokens = rng.choice(signature.vocabulary, size=shape, p=chances / chances.sum())
    return Batch(inputs=torch.from_numpy(tokens.astype(np.int64)), labels=None)


def _probe(
    space: SearchSpace,
    task: Task,
    architecture: Architecture,
    batch: Batch | None,
    seed: int,
    proxies: Sequence[str],
) -> Probe | str:
    """Returns the probe of a freshly built network, or why it could not be built."""
    assert isinstance(space, Builder)
    assert isinstance(task, TrainableTask | TabularTask)
    assert task.signature is not None, "`computable` says so"
    try:
        with unmoved_generator(seed):
            network = space.build(architecture, task.signature)
    except Exception as error:  # noqa: BLE001 - the tool's boundary: a user's builder may raise
        return f"the network cannot be built: {type(error).__name__}: {error}"
    return plan(network, task.signature, batch, proxies)


def plan(
    network: torch.nn.Module, signature: Signature, batch: Batch | None, proxies: Sequence[str]
) -> Probe:
    """Returns a probe that knows which of its passes these proxies will share."""
    wanted = [PROXIES[name] for name in proxies]
    return Probe(
        network=network,
        signature=signature,
        batch=batch,
        plans=frozenset(name for proxy in wanted for name in getattr(proxy, "passes", ())),
        deepest=max((getattr(proxy, "layer", 0) for proxy in wanted), default=0),
    )
