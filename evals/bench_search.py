"""What a search of 100 queries costs: `python -m vitruvius.evals.bench_search --table PATH`.

Runs the analyst through the real graph (ledger and checkpoints in memory) and, seed by seed in the
same process, the minimal search: the analyst's choices alone, without graph, ledger, principles and
cuts. Prints medians in seconds of CPU time, which other load on the machine disturbs less than wall
time, and the ratio of the two. Set OMP_NUM_THREADS=1 for one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vitruvius.errors import ConfigError
from vitruvius.evals.minimal_search import MinimalSearch
from vitruvius.evals.oracle import Oracle, Truth
from vitruvius.evals.searches import run_search
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.tables.table import TabularTask

WARM_UP = 16  # queries before the first measurement: caches of the space are filled once a process


def measure(table: str, metric: str, queries: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Returns the figures.

    Raises:
        ConfigError: if the reference is no table.
    """
    task = load_task(f"table:{table},metric={metric}")
    if not isinstance(task, TabularTask):
        raise ConfigError(f"expected a table, got {task.ref!r}")
    space = load_space("nb201")
    truth = Truth.of(space, task)

    def bare(seed: int) -> None:
        search = MinimalSearch(space, task, Oracle(truth, queries), seed)
        for _ in range(queries):
            search.step()

    def whole(seed: int) -> None:
        run_search(space, task, queries=queries, seed=seed)

    run_search(space, task, queries=WARM_UP, seed=0)
    both = [(_timed(whole, seed), _timed(bare, seed)) for seed in seeds]
    return {
        "queries": queries,
        "seeds": list(seeds),
        "search_cpu_s": _median(search[0] for search, _ in both),
        "search_wall_s": _median(search[1] for search, _ in both),
        "minimal_cpu_s": _median(bare[0] for _, bare in both),
        "minimal_wall_s": _median(bare[1] for _, bare in both),
        "ratio_cpu": _median(search[0] / bare[0] for search, bare in both),
    }


def _timed(search: Callable[[int], None], seed: int) -> tuple[float, float]:
    """Returns seconds of CPU and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    search(seed)
    return time.process_time() - cpu, time.perf_counter() - wall


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(prog="bench_search", description=__doc__)
    parser.add_argument("--table", required=True, help="path of nas_bench_201.parquet")
    parser.add_argument("--metric", default="c10", choices=("c10", "c100", "in16"))
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--first-seed", type=int, default=0)
    given = parser.parse_args(arguments)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    print(json.dumps(measure(given.table, given.metric, given.queries, seeds), indent=1))


if __name__ == "__main__":
    main()
