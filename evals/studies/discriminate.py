"""Whether a job can tell architectures apart: `python -m vitruvius.evals.studies.discriminate`.

Trains random architectures at the task's own fidelity, each from several seeds, on one thread, and
compares the distance between the best and the median with the deviation between seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vitruvius.errors import ConfigError
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Builder, SearchSpace
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.task import TrainableTask
from vitruvius.tools.passes.flops import unmoved_generator
from vitruvius.tools.training.metrics import TrainingStopped
from vitruvius.tools.training.tensors import Data
from vitruvius.tools.training.trainer import train

WANTED_RATIO = 5.0


@dataclass(frozen=True, kw_only=True)
class Discrimination:
    """How far apart the architectures are; values in the metric's unit, better is larger."""

    architectures: int
    seeds: int
    diverged: int
    best: float
    median: float
    worst: float
    seed_deviation: float  # pooled over architectures
    ratio: float  # (best - median) / seed_deviation
    wall_s: float  # median of one training
    cpu_s: float  # median of one training
    slowest_cpu_s: float


def summarise(
    values: NDArray[np.float64], wall_s: NDArray[np.float64], cpu_s: NDArray[np.float64]
) -> Discrimination:
    """Returns the summary of values [architectures, seeds] and seconds of each training.

    An architecture is judged by its mean over seeds. One with a NaN (diverged) is left out.
    """
    whole = values[~np.isnan(values).any(axis=1)]
    means = whole.mean(axis=1)
    deviation = float(np.sqrt(whole.var(axis=1, ddof=1).mean()))
    best, median = float(means.max()), float(np.median(means))
    return Discrimination(
        architectures=len(whole),
        seeds=values.shape[1],
        diverged=len(values) - len(whole),
        best=best,
        median=median,
        worst=float(means.min()),
        seed_deviation=deviation,
        ratio=(best - median) / deviation if deviation > 0 else float("inf"),
        wall_s=float(np.median(wall_s)),
        cpu_s=float(np.median(cpu_s)),
        slowest_cpu_s=float(cpu_s.max()),
    )


def discriminate(
    space: SearchSpace,
    task: TrainableTask,
    *,
    architectures: int = 60,
    seeds: int = 2,
    tell: Callable[[int, Architecture, list[float]], None] = lambda number, drawn, values: None,
) -> Discrimination:
    """Returns how well the task tells distinct random architectures of the space apart.

    Args:
        space: must be a `Builder`.
        task: trained at its own fidelity.
        architectures: how many, drawn without repeats by the space's sampler from seed 0.
        seeds: trainings of each, at least 2.
        tell: called after each architecture with its number, itself and its values.

    Raises:
        ConfigError: if the space cannot build networks.
    """
    if not isinstance(space, Builder):
        raise ConfigError(f"space {space.name} cannot build networks")
    data = Data.of(task.load(), torch.device("cpu"))
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # loads torch's compiler: 1 s, once
    values = np.full((architectures, seeds), np.nan)
    wall_s, cpu_s = np.zeros_like(values), np.zeros_like(values)
    for row, architecture in enumerate(draw(space, architectures)):
        for seed in range(seeds):
            wall, cpu = time.perf_counter(), time.process_time()
            values[row, seed] = task.metric.sign * _train(space, task, data, architecture, seed)
            wall_s[row, seed] = time.perf_counter() - wall
            cpu_s[row, seed] = time.process_time() - cpu
        tell(row + 1, architecture, values[row].tolist())
    return summarise(values, wall_s, cpu_s)


def draw(space: SearchSpace, count: int) -> list[Architecture]:
    """Returns distinct architectures from the space's own sampler, seed 0."""
    rng = np.random.default_rng(0)
    drawn: dict[Architecture, None] = {}
    for _ in range(1000 * count):
        if len(drawn) == count:
            break
        drawn[space.sample(rng)] = None
    return list(drawn)


def _train(
    space: Builder, task: TrainableTask, data: Data, architecture: Architecture, seed: int
) -> float:
    """Returns the validation metric of one training; NaN if it diverged."""
    with unmoved_generator(seed):
        network = space.build(architecture, task.signature)
        try:
            course = train(
                network,
                data,
                task.recipe,
                epochs=task.fidelity.epochs,
                seed=seed,
                metric=task.metric,
            )
        except TrainingStopped:
            return float("nan")
    return course.value


def main() -> None:
    """Prints each architecture's values, then the summary; exit code 1 below `WANTED_RATIO`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="nb201")
    parser.add_argument("--task", default="mnist1d")
    parser.add_argument("--architectures", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON only")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(arguments.task)
    if not isinstance(task, TrainableTask):
        parser.error(f"task {arguments.task} is not trained")

    def tell(number: int, architecture: Architecture, values: list[float]) -> None:
        if not arguments.json:
            print(number, *(f"{value:.2f}" for value in values), architecture, flush=True)

    found = discriminate(
        load_space(arguments.space),
        task,
        architectures=arguments.architectures,
        seeds=arguments.seeds,
        tell=tell,
    )
    print(json.dumps(asdict(found), indent=1))
    if found.ratio < WANTED_RATIO:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
