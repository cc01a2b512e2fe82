"""Jobs: one arm on one case with one seed, in parallel processes, with an estimate beforehand.

A job's outcome is a pure function of the job, but for its times. What a killed evaluation finished
is not made again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from vitruvius.evals.arms.arm import Arm, Given
from vitruvius.evals.arms.registry import find_arm
from vitruvius.evals.cases import Built, Case, SourceSpec, build
from vitruvius.evals.oracle import Oracle, Spent
from vitruvius.evals.outcomes import Outcome, Store, found_share, hit_of, steps_of, trace_of
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.spaces.space import Architecture

SAY_EVERY_S = 20.0
Say = Callable[[str], None]
GOOD_SHARE, FEWEST_GOOD = 0.1, 5
MOST_GOOD = 50  # as many as the published scripts of LAPT show


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search to be made, as plain data that travels to other processes."""

    case: Case
    arm: str
    seed: int
    data: Path


def jobs_of(case: Case, arms: Sequence[Arm], seeds: Sequence[int], data: Path) -> list[Job]:
    """Returns the jobs of a case; of one without sources for an arm that does not listen."""
    return [
        Job(case=case if arm.hears else case.blind(), arm=arm.name, seed=seed, data=data)
        for arm in arms
        for seed in seeds[: arm.most_seeds]
    ]


def run_job(job: Job) -> Outcome:
    """Returns what the search came to.

    Raises:
        ConfigError: if a table, a space or an arm is not there.
    """
    built = build(job.case, job.data, job.seed)
    wall, cpu = time.perf_counter(), time.process_time()
    oracle = search(job, built)
    trade_off = job.case.trade_off
    return Outcome(
        arm=job.arm,
        case=job.case.key,
        seed=job.seed,
        queries=job.case.queries,
        paid=oracle.answers[-1].cost if oracle.answers else 0.0,
        hit=hit_of(oracle),
        steps=steps_of(oracle),
        best=built.truth.best,
        scale=built.truth.scale,
        trace=trace_of(oracle),
        cpu_s=round(time.process_time() - cpu, 4),
        wall_s=round(time.perf_counter() - wall, 4),
        extra=oracle.notes | ({"hypervolume": found_share(oracle, trade_off)} if trade_off else {}),
    )


def search(job: Job, built: Built) -> Oracle:
    """Lets the arm search until all is paid; returns what it asked."""
    case = job.case
    oracle = Oracle(built.truth, case.queries, seed=job.seed, stop_at_hit=case.stop_at_hit)
    with suppress(Spent):
        find_arm(job.arm).run(_given(job, built, oracle))
    return oracle


def _given(job: Job, built: Built, oracle: Oracle) -> Given:
    specs = zip(job.case.sources, built.sources, strict=True)
    return Given(
        space=built.truth.space,
        oracle=oracle,
        seed=job.seed,
        sources=built.sources,
        good=[_good(spec, source) for spec, source in specs],
        cuts=built.cuts,
    )


def _good(spec: SourceSpec, source: Source) -> list[Architecture]:
    """Returns the good architectures of a source, best first."""
    known = [trial for trial in source.trials if trial.value is not None]
    values = source.metric.sign * np.array([trial.value for trial in known])
    is_chosen = spec.kind == "top" or spec.best is not None
    count = len(known) if is_chosen else max(FEWEST_GOOD, round(GOOD_SHARE * len(known)))
    order = np.argsort(-values, kind="stable")[: min(count, MOST_GOOD)]
    return [known[place].architecture for place in order.tolist()]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A job that raised, and what."""

    job: Job
    reason: str


def missing(jobs: Sequence[Job], store: Store) -> list[Job]:
    """Returns the jobs without a raw result, each once."""
    left = []
    for (case, arm), group in _grouped(dict.fromkeys(jobs)).items():
        done = store.read(case, arm)
        left += [job for job in group if job.seed not in done]
    return left


def run_all(jobs: Sequence[Job], store: Store, processes: int, say: Say) -> list[Failure]:
    """Runs what is missing and stores every result as it comes; returns what failed.

    One job of each arm on each case goes first: their times make the estimate.
    """
    store.mend({(job.case, job.arm): None for job in jobs})
    left = missing(jobs, store)
    if not left:
        return []
    groups = _grouped(left)
    first = [group[0] for group in groups.values()]
    rest = [job for group in groups.values() for job in group[1:]]
    with _pool(processes) as pool:
        try:
            say(f"{len(left):,} searches to make; the first {len(first):,} are timed")
            failed = _run(pool, first, store, say)
            say(estimate(rest, store, processes))
            return failed + _run(pool, rest, store, say)
        except BaseException:  # Ctrl-C too: leaving the pool would first make all that is queued
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def estimate(jobs: Sequence[Job], store: Store, processes: int) -> str:
    """Returns how long the jobs will take, from what is stored, the slowest arms named."""
    by_arm: dict[str, float] = defaultdict(float)
    for (case, arm), group in _grouped(jobs).items():
        done = [outcome.wall_s for outcome in store.read(case, arm).values()]
        by_arm[arm] += len(group) * (median(done) if done else 0.0)
    total = sum(by_arm.values())
    slowest = sorted(by_arm, key=lambda arm: -by_arm[arm])[:5]
    shares = ", ".join(f"{arm} {by_arm[arm] / 60:.1f}" for arm in slowest)
    return (
        f"{len(jobs):,} searches are left: about {total / processes / 60:.1f} min on {processes} "
        f"processes (minutes of computing: {shares})"
    )


def _pool(processes: int) -> Executor:
    """Returns workers; for one process that is this one."""
    if processes == 1:
        return ThreadPoolExecutor(max_workers=1)
    spawn = multiprocessing.get_context("spawn")  # the same on every platform
    return ProcessPoolExecutor(max_workers=processes, mp_context=spawn, initializer=_prepare)


def _run(pool: Executor, jobs: Sequence[Job], store: Store, say: Say) -> list[Failure]:
    futures: dict[Future[Outcome], Job] = {pool.submit(run_job, job): job for job in jobs}
    failed: list[Failure] = []
    said = started = time.monotonic()
    for done, future in enumerate(as_completed(futures), start=1):
        job = futures.pop(future)
        error = future.exception()
        if error is None:
            store.append(job.case, job.arm, future.result())
        else:
            failed.append(Failure(job=job, reason=f"{type(error).__name__}: {error}"))
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            left = (said - started) / done * (len(jobs) - done)
            say(f"{done:,} of {len(jobs):,}, about {left / 60:.1f} min left")
    return failed


def _grouped(jobs: Iterable[Job]) -> dict[tuple[Case, str], list[Job]]:
    groups: dict[tuple[Case, str], list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.case, job.arm].append(job)
    return groups


def _prepare() -> None:
    """Keeps a worker to one thread, and ends it when its parent is gone."""
    threadpool_limits(1)  # more would fight for the same cores, and CPU seconds not compare
    parent = multiprocessing.parent_process()
    if parent is not None:  # a parent that is killed tells its workers nothing
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
