"""Cold start on a table: `python -m vitruvius.evals.cold_start --table PATH --seeds 100`.

Queries until the best 0.1 % by validation, and mean test accuracy of the best by validation, for
the analyst with empty memory and for the baselines, under the same budget and seeds. Writes raw
results as JSON and a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.evals.arena import analyst_search
from vitruvius.evals.baselines import BASELINES
from vitruvius.evals.oracle import Oracle, Spent, Truth
from vitruvius.spaces.registry import load_space
from vitruvius.tasks.registry import load_task
from vitruvius.tasks.table import TabularTask

METRICS = ("c10", "c100", "in16")
ARMS = ("analyst", *BASELINES)
CHECKPOINTS = (20, 50, 100)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One search. `hit` is the query that reached the best 0.1 %, None if none did."""

    arm: str
    metric: str
    seed: int
    hit: int | None
    tests: dict[int, float]  # queries -> test value of the best by validation
    regrets: dict[int, float]  # queries -> best validation value of the table minus the found one
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search to be made."""

    table: str
    arm: str
    metric: str
    seed: int
    queries: int


def search(job: Job) -> Outcome:
    """Returns the outcome of one search; a pure function of the job.

    Raises:
        ConfigError: if the reference is no table.
    """
    truth = _truth(job.table, job.metric)
    oracle = Oracle(truth, job.queries)
    start = time.process_time()
    with suppress(Spent):
        if job.arm == "analyst":
            analyst_search(truth.space, oracle, job.seed)
        else:
            BASELINES[job.arm](truth.space, oracle, np.random.default_rng(job.seed))
    asked = list(oracle.asked)
    values = np.array([oracle.asked[a] for a in asked])
    hits = np.flatnonzero(values >= truth.threshold)
    found = {q: asked[int(np.argmax(values[:q]))] for q in CHECKPOINTS if q <= len(asked)}
    return Outcome(
        arm=job.arm,
        metric=job.metric,
        seed=job.seed,
        hit=int(hits[0]) + 1 if len(hits) else None,
        tests={q: truth.values[a][1] for q, a in found.items()},
        regrets={q: truth.best - truth.values[a][0] for q, a in found.items()},
        cpu_s=time.process_time() - start,
    )


@lru_cache(maxsize=4)
def _truth(table: str, metric: str) -> Truth:
    task = load_task(f"table:{table},metric={metric}")
    if not isinstance(task, TabularTask):
        raise ConfigError(f"expected a table with known best rows, got {task.ref!r}")
    return Truth.of(load_space("nb201"), task)


def summary(outcomes: Sequence[Outcome], queries: int) -> str:
    """Returns a Markdown table, one row per metric and arm.

    A search without a hit counts as `queries` + 1 in median and quantile.
    """
    lines = [
        "| metric | arm | median | q90 | hit rate | "
        + " | ".join(f"test at {q}" for q in CHECKPOINTS)
        + " | regret at end | CPU s |",
        "|---|---|---|---|---|" + "---|" * (len(CHECKPOINTS) + 2),
    ]
    for metric in dict.fromkeys(outcome.metric for outcome in outcomes):
        for arm in dict.fromkeys(outcome.arm for outcome in outcomes):
            rows = [o for o in outcomes if o.metric == metric and o.arm == arm]
            if rows:
                lines.append(_row(metric, arm, rows, queries))
    return "\n".join(lines) + "\n"


def _row(metric: str, arm: str, rows: Sequence[Outcome], queries: int) -> str:
    hits = np.array([queries + 1 if o.hit is None else o.hit for o in rows], dtype=np.float64)
    tests = [np.mean([o.tests[q] for o in rows if q in o.tests] or [np.nan]) for q in CHECKPOINTS]
    regret = np.mean([o.regrets[max(o.regrets)] for o in rows if o.regrets] or [np.nan])
    cells = [
        metric,
        arm,
        f"{np.median(hits):g}",
        f"{np.quantile(hits, 0.9):.0f}",
        f"{np.mean([o.hit is not None for o in rows]):.0%}",
        *(f"{test:.2f}" for test in tests),
        f"{regret:.3f}",
        f"{np.median([o.cpu_s for o in rows]):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(prog="cold_start", description=__doc__)
    parser.add_argument("--table", required=True, help="path of nas_bench_201.parquet")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), choices=METRICS)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("cold_start"), help="folder to write")
    given = parser.parse_args(arguments)
    jobs = [
        Job(table=given.table, arm=arm, metric=metric, seed=seed, queries=given.queries)
        for metric in given.metrics
        for arm in given.arms
        for seed in range(given.first_seed, given.first_seed + given.seeds)
    ]
    with ProcessPoolExecutor(max_workers=given.processes) as pool:
        outcomes = list(pool.map(search, jobs, chunksize=5))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "results.json").write_text(json.dumps([asdict(o) for o in outcomes], indent=1))
    table = summary(outcomes, given.queries)
    (given.out / "table.md").write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
